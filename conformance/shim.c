/* What the conformance runner takes from glibc 2.38 and libstdc++ 13, in terms
   of older ones. Compiled and loaded by runner.py, only where it is needed. */

#include <stdlib.h>

/* C23's forms of these four also read "0b101", which the runner never does. */
long __isoc23_strtol(const char *text, char **end, int base) {
  return strtol(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base) {
  return strtoul(text, end, base);
}

long long __isoc23_strtoll(const char *text, char **end, int base) {
  return strtoll(text, end, base);
}

unsigned long long __isoc23_strtoull(const char *text, char **end, int base) {
  return strtoull(text, end, base);
}

/* std::ios_base_library_init(): libstdc++ 13 sets up std::cout and its like by
   itself; before, whoever used them had to construct a std::ios_base::Init. */
extern void _ZNSt8ios_base4InitC1Ev(void *init);

void _ZSt21ios_base_library_initv(void) {
  static char init;
  _ZNSt8ios_base4InitC1Ev(&init);
}

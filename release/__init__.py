"""What `make release-check` does: builds what a release publishes, and checks it.

- `python -m release` runs all checks, and leaves the sdist and the wheel in `dist`, and
  the release notes in `build`.
- `archives` builds them, and says what must be in them.
- `trial` installs them into a new environment, as users do, and runs what users run.
- `notes` reads the version and the changelog.
- `bounds` prints the lowest versions of packages that the library allows, with which
  `make test-lowest` runs the tests.
"""

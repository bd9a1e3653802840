"""Tests of fleets: servers die and drain under load, behind real load balancers."""

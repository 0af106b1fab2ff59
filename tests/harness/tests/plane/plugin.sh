#!/bin/sh
# Stands for kubectl-ambient where only kubectl's way to its plugins is tested.
echo "called with $*"
exit 3

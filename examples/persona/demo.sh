#!/bin/sh
# The main road of weft on our own example, offline: screenplay -> dataset -> LoRA -> base and tuned side by side.
# A second run skips what is done; remove runs/persona to start over.
set -eu
cd "$(dirname "$0")/../.."
exec build/weft run examples/persona/recipe.yaml "$@"

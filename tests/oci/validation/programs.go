//go:build programs

// What scripts/oci-suite builds: go.mod and go.sum say which versions, and nothing of them is here.
package validation

import (
	_ "github.com/opencontainers/runtime-tools/cmd/runtimetest"
	_ "github.com/opencontainers/runtime-tools/validation/util"
)

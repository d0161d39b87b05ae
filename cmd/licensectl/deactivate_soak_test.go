//go:build soak

package main

import "testing"

// TestSoakABulkRunThatIsKilledThreeTimesLosesNoRow: 100,000 rows, one per cent of them broken.
func TestSoakABulkRunThatIsKilledThreeTimesLosesNoRow(t *testing.T) {
	t.Parallel()
	killedThreeTimes(t, 100_000)
}

package main

import "testing"

// TestAPreviewLeavesAFixedAmountOfGarbage, so that a million rows stay under 64 MiB and few rows are not collected all the time.
func TestAPreviewLeavesAFixedAmountOfGarbage(t *testing.T) {
	t.Parallel()
	for rows, want := range map[int64]int{0: 100, 10_000: 96, 1_000_000: 20, 100_000_000: 10} {
		if got := gcPercent(rows); got != want {
			t.Errorf("%d rows: %d %%, want %d", rows, got, want)
		}
	}
}

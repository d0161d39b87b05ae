package deadletter

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// hashLength is how many hexadecimal digits of a plan's hash are shown: 48 bits distinguish the plans of one queue.
const hashLength = 12

// Hash identifies a plan: what is done, where, to which letters, and what is sent in their place. Two looks at the same
// letters give the same hash. act is the command and its target. releases are not part of it, since each has its own time:
// give the moves before a release is added.
func Hash(act string, moves []Move) string {
	lines := make([]string, len(moves))
	for i, m := range moves {
		sum := sha256.New()
		for _, e := range m.Entries {
			fmt.Fprintf(sum, "%d:%s", len(e.Body), e.Body)
		}
		lines[i] = m.Letter.MessageID + " " + hex.EncodeToString(sum.Sum(nil))
	}
	slices.Sort(lines)
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %d\n", act, len(lines))
	for _, line := range lines {
		fmt.Fprintln(sum, line)
	}
	return hex.EncodeToString(sum.Sum(nil))[:hashLength]
}

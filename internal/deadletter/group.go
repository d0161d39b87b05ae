package deadletter

import (
	"cmp"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
)

// Group is the letters with the same reason, code and source.
type Group struct {
	Reason  deactivation.Reason
	Code    string
	Source  string
	Letters []*Letter // the oldest first
}

// Oldest and Newest are the times of the group's first and last letter.
func (g Group) Oldest() time.Time { return g.Letters[0].At() }

// Newest is the time of the last letter.
func (g Group) Newest() time.Time { return g.Letters[len(g.Letters)-1].At() }

// Groups groups letters by reason, code and source. The largest group is first.
func Groups(letters []*Letter) []Group {
	type key struct {
		reason       deactivation.Reason
		code, source string
	}
	index := map[key]int{}
	var groups []Group
	for _, l := range letters {
		k := key{l.Reason, l.Code, l.Source}
		i, ok := index[k]
		if !ok {
			i = len(groups)
			index[k] = i
			groups = append(groups, Group{Reason: l.Reason, Code: l.Code, Source: l.Source})
		}
		groups[i].Letters = append(groups[i].Letters, l)
	}
	for _, g := range groups {
		slices.SortFunc(g.Letters, olderFirst)
	}
	slices.SortFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(len(b.Letters), len(a.Letters)), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Source, b.Source))
	})
	return groups
}

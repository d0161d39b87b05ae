package history

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"license-deactivator/internal/deactivation"
)

// Deliveries is how many events of a source got an answer.
type Deliveries struct {
	Source string
	Answer string // deactivation.Answer
	N      int
}

// deliveriesCounted is the name of the count in the query's result.
const deliveriesCounted = "n"

// CountDeliveries counts the events and direct invocations since that time, the most first. It is one query, which scans the log
// groups.
func (i *Insights) CountDeliveries(ctx context.Context, since time.Time) ([]Deliveries, error) {
	query := fmt.Sprintf("filter %s = \"%s\"\n| stats count(*) as %s by %s, %s", deactivation.LogText, deactivation.LogDelivery,
		deliveriesCounted, deactivation.LogSource, deactivation.LogAnswer)
	result, err := i.run(ctx, query, since, i.Now())
	if err != nil {
		return nil, err
	}
	var all []Deliveries
	for _, row := range result.Rows {
		n, err := strconv.Atoi(row[deliveriesCounted])
		if err != nil {
			return nil, fmt.Errorf("history: a count of deliveries is not a number: %w", err)
		}
		all = append(all, Deliveries{row[deactivation.LogSource], row[deactivation.LogAnswer], n})
	}
	slices.SortFunc(all, func(a, b Deliveries) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Answer, b.Answer))
	})
	return all, nil
}

package managementapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// pageSize is the requested limit, the largest that the API accepts. The API cuts a larger one silently, and may cut
// this one, too, so pages are counted by the received records.
const pageSize = 100

// list reads the pages of a list until as many records have arrived as the first page counted. No error may hold
// secret.
func list[T any](
	ctx context.Context, c *Client, op, path string, query url.Values, secret string, most int,
	parse func(json.RawMessage) (T, string), idOf func(T) int64,
) (List[T], error) {
	unreadable := func(why string) (List[T], error) { return List[T]{}, &UnreadableError{Op: op, Why: why} }
	query.Set("order_by", "created_at") // pages of an unordered list may not fit together
	query.Set("limit", strconv.Itoa(pageSize))
	var found List[T]
	seen := map[int64]bool{}
	for {
		query.Set("offset", strconv.Itoa(len(found.Records)))
		reply, err := c.request(ctx, op, http.MethodGet, path, query, secret)
		if err != nil {
			return List[T]{}, err
		}
		count, records, why := parsePage(reply)
		first := len(found.Records) == 0
		switch {
		case why != "":
			return unreadable(why)
		case first:
			found.Count = count
		case count != found.Count:
			return unreadable("the list changed between two pages")
		}
		for _, raw := range records {
			record, why := parse(raw)
			if why != "" {
				return unreadable(why)
			}
			if seen[idOf(record)] {
				return unreadable("a record is there twice; another may be missing")
			}
			seen[idOf(record)] = true
			found.Records = append(found.Records, record)
		}
		found.Whole = len(found.Records) == found.Count
		switch {
		case len(found.Records) > found.Count:
			return unreadable("the list has more records than it counts")
		case found.Whole, found.Count > most:
			return found, nil
		case len(records) == 0:
			return unreadable("the list ends before its count")
		}
	}
}

// noObject is why a reply or a list cannot be read.
const noObject = "the reply is no JSON object, or has two values for a field"

// parsePage reads {"count": number, "results": [record, …]}. It does not read the address of the next page, which could
// lead to another host.
func parsePage(reply []byte) (count int, records []json.RawMessage, why string) {
	f, ok := parseFields(reply)
	if !ok {
		return 0, nil, noObject
	}
	count = f.count("count", -1)
	if count < 0 {
		return 0, nil, "the list has no count"
	}
	if json.Unmarshal(f.get("results"), &records) != nil || records == nil {
		return 0, nil, "the list has no results"
	}
	return count, records, ""
}

package historytest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is a log line, or a result of stats, by field. A nested field has a dot in its name, like an item of a list.
type row map[string]string

type (
	anyOf    []expression
	allOf    []expression
	negation struct{ of expression }
	present  struct{ field string }
	equality struct {
		field  string
		values []string
	}
	like struct {
		field   string
		pattern *regexp.Regexp
	}
	order struct{ field, operator, value string }
)

func (e anyOf) holds(r row) bool {
	return slices.ContainsFunc(e, func(one expression) bool { return one.holds(r) })
}

func (e allOf) holds(r row) bool {
	return !slices.ContainsFunc(e, func(one expression) bool { return !one.holds(r) })
}
func (e negation) holds(r row) bool { return !e.of.holds(r) }
func (e present) holds(r row) bool  { _, ok := r[e.field]; return ok }
func (e equality) holds(r row) bool {
	value, ok := r[e.field]
	return ok && slices.Contains(e.values, value)
}

func (e like) holds(r row) bool {
	value, ok := r[e.field]
	return ok && e.pattern.MatchString(value)
}

func (e order) holds(r row) bool {
	value, ok := r[e.field]
	a, errA := strconv.ParseFloat(value, 64)
	b, errB := strconv.ParseFloat(e.value, 64)
	if !ok || errA != nil || errB != nil {
		return false
	}
	switch e.operator {
	case ">":
		return a > b
	case ">=":
		return a >= b
	case "<":
		return a < b
	}
	return a <= b
}

// indexed returns the values of an indexed field that every line of the result must have; false where the query names none
// in an equality. It is what the service skips lines by.
func indexed(e expression, isIndexed func(string) bool) (equality, bool) {
	switch e := e.(type) {
	case equality:
		return e, isIndexed(e.field)
	case allOf:
		for _, one := range e {
			if found, ok := indexed(one, isIndexed); ok {
				return found, true
			}
		}
	case anyOf:
		if len(e) == 1 {
			return indexed(e[0], isIndexed)
		}
	}
	return equality{}, false
}

// rowOf reads the fields of a log line, as the service discovers them in JSON.
func rowOf(l line, group string) row {
	r := row{
		"@timestamp": l.at.UTC().Format("2006-01-02 15:04:05.000"), "@message": l.text, "@log": "123456789012:" + group, "@logStream": "stream",
	}
	var object map[string]any
	dec := json.NewDecoder(strings.NewReader(l.text))
	dec.UseNumber()
	if dec.Decode(&object) == nil {
		r.add("", object)
	}
	return r
}

func (r row) add(name string, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			r.add(strings.TrimPrefix(name+"."+key, "."), inner)
		}
	case []any:
		for i, inner := range v {
			r.add(name+"."+strconv.Itoa(i), inner)
		}
	case nil:
	default:
		r[name] = fmt.Sprint(v)
	}
}

// run evaluates the commands after each other. fields are those of the result.
func (q query) run(rows []row) (result []row, fields []string) {
	limit := defaultRows
	for _, c := range q.commands {
		switch c.name {
		case "fields":
			fields = append(fields, c.fields...)
		case "filter":
			rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !c.filter.holds(r) })
		case "sort":
			rows = slices.Clone(rows)
			slices.SortStableFunc(rows, func(a, b row) int {
				n := cmp.Compare(a[c.fields[0]], b[c.fields[0]])
				if c.fields[0] != "@timestamp" {
					n = compare(a[c.fields[0]], b[c.fields[0]])
				}
				if c.desc {
					n = -n
				}
				return n
			})
		case "limit":
			limit = c.limit
		case "stats":
			rows, fields = grouped(rows, c), slices.Clone(c.fields)
			for _, a := range c.stats {
				fields = append(fields, a.as)
			}
		}
	}
	return rows[:min(len(rows), limit)], fields
}

// compare compares numbers as numbers, and everything else as text.
func compare(a, b string) int {
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	if errX == nil && errY == nil {
		return cmp.Compare(x, y)
	}
	return cmp.Compare(a, b)
}

func grouped(rows []row, c command) []row {
	groups := map[string][]row{}
	var keys []string
	for _, r := range rows {
		var key []string
		for _, field := range c.fields {
			key = append(key, r.key(field))
		}
		id := strings.Join(key, "\x00")
		if groups[id] == nil {
			keys = append(keys, id)
		}
		groups[id] = append(groups[id], r)
	}
	var out []row
	for _, id := range keys {
		result := row{}
		for _, field := range c.fields {
			if value := groups[id][0].key(field); value != "" {
				result[field] = value
			}
		}
		for _, a := range c.stats {
			if value, ok := a.of(groups[id]); ok {
				result[a.as] = value
			}
		}
		out = append(out, result)
	}
	return out
}

// key is a row's value of a field that stats groups by.
func (r row) key(field string) string {
	size, isBin := strings.CutPrefix(field, "bin(")
	if !isBin {
		return r[field]
	}
	length, err := time.ParseDuration(strings.TrimSuffix(size, ")"))
	at, errAt := time.Parse("2006-01-02 15:04:05.000", r["@timestamp"])
	if err != nil || errAt != nil {
		return ""
	}
	return at.Truncate(length).Format("2006-01-02 15:04:05.000")
}

func (a aggregate) of(rows []row) (string, bool) {
	if a.function == "count" {
		return strconv.Itoa(len(rows)), true
	}
	var texts []string
	for _, r := range rows {
		if value, ok := r[a.field]; ok {
			texts = append(texts, value)
		}
	}
	if len(texts) == 0 {
		return "", false
	}
	slices.SortFunc(texts, compare)
	switch a.function {
	case "min":
		return texts[0], true
	case "max", "latest":
		return texts[len(texts)-1], true
	case "pct":
		return texts[max(int(math.Ceil(float64(len(texts))*a.number/100))-1, 0)], true
	}
	sum := 0.0
	for _, text := range texts {
		n, _ := strconv.ParseFloat(text, 64)
		sum += n
	}
	if a.function == "avg" {
		sum /= float64(len(texts))
	}
	return strconv.FormatFloat(sum, 'f', -1, 64), true
}

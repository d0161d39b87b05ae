// Package historytest is a fake of CloudWatch Logs for tests: the operations StartQuery, GetQueryResults and StopQuery over
// HTTP, with the subset of the query language that this project uses, over log lines that a test puts in.
//
// It refuses what the service refuses: an unknown command or function, a text that is no query, an unknown log group, more
// than 50 groups, a time that ends before it begins. It is stricter in three points, so that a mistake shows: a field that no
// line of ours has is refused, where the service finds nothing; a backslash in a quoted text is refused, since AWS does not
// document what it means; and a query whose time lies before every group's retention is refused.
package historytest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of the service.
// Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
const (
	maxGroups     = 50
	maxRows       = 10_000
	defaultRows   = 10_000
	maxQueryRunes = 10_000
)

// Config is the configuration of a Logs.
type Config struct {
	Groups  []string      // names of the log groups
	Fields  []string      // of the lines, which a query may name; @timestamp, @message, @log and @logStream are always known
	Indexed []string      // fields with an index
	Looks   int           // how many results say that a query still runs
	Keeps   time.Duration // the groups' retention; 0: for ever
}

// Logs is the fake. It is an http.Handler for AWS's client. Make it with New.
type Logs struct {
	cfg Config

	mu      sync.Mutex
	lines   map[string][]line
	queries map[string]*started
	asked   []string
	stopped int
}

type line struct {
	at   time.Time
	text string
}

// started is a query that was started.
type started struct {
	looks   int
	stopped bool
	rows    []row
	fields  []string
	bytes   int
	records int
	matched int
}

// New returns a fake without lines.
func New(cfg Config) *Logs {
	l := &Logs{cfg: cfg, lines: map[string][]line{}, queries: map[string]*started{}}
	for _, group := range cfg.Groups {
		l.lines[group] = nil
	}
	return l
}

// Put adds a log line to a group at that time.
func (l *Logs) Put(group string, at time.Time, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines[group] = append(l.lines[group], line{at, text})
}

// Queries are the texts of all queries so far.
func (l *Logs) Queries() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.asked)
}

// Stopped is how many queries were stopped before their end.
func (l *Logs) Stopped() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped
}

// refusal is an error of the service, by its type.
type refusal struct{ kind, why string }

func (r refusal) Error() string { return r.kind + ": " + r.why }

// ServeHTTP serves the service's protocol, AWS JSON 1.1.
func (l *Logs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	var answer any
	switch operation {
	case "StartQuery":
		answer, err = l.start(body)
	case "GetQueryResults":
		answer, err = l.results(body)
	case "StopQuery":
		answer, err = l.stop(body)
	default:
		err = refusal{"UnknownOperationException", operation}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		var refused refusal
		errors.As(err, &refused)
		w.WriteHeader(http.StatusBadRequest)
		answer = map[string]string{"__type": refused.kind, "message": refused.why}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func (l *Logs) start(body []byte) (any, error) {
	var in struct {
		LogGroupNames []string `json:"logGroupNames"`
		StartTime     int64    `json:"startTime"`
		EndTime       int64    `json:"endTime"`
		QueryString   string   `json:"queryString"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, refusal{"SerializationException", err.Error()}
	}
	id, err := l.Start(in.LogGroupNames, time.Unix(in.StartTime, 0), time.Unix(in.EndTime, 0), in.QueryString)
	return map[string]string{"queryId": id}, err
}

// Start starts a query. Its times are inclusive, to the second.
func (l *Logs) Start(groups []string, from, to time.Time, text string) (id string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, text)
	switch {
	case len(groups) == 0 || len(groups) > maxGroups:
		return "", refusal{"InvalidParameterException", fmt.Sprintf("%d log groups; 1 to %d are allowed", len(groups), maxGroups)}
	case to.Before(from):
		return "", refusal{"InvalidParameterException", "the end time is before the start time"}
	case len([]rune(text)) > maxQueryRunes:
		return "", refusal{"InvalidParameterException", "the query is too long"}
	case l.cfg.Keeps > 0 && to.Before(time.Now().Add(-l.cfg.Keeps)):
		return "", refusal{"MalformedQueryException", "end date and time is either before the log groups creation time or exceeds the log groups log retention settings"}
	}
	q, err := parse(text, l.knows)
	if err != nil {
		return "", refusal{"MalformedQueryException", err.Error()}
	}
	s := &started{}
	var rows []row
	for _, group := range groups {
		lines, ok := l.lines[group]
		if !ok {
			return "", refusal{"ResourceNotFoundException", "Log group '" + group + "' does not exist"}
		}
		for _, one := range lines {
			if at := one.at.Unix(); at >= from.Unix() && at <= to.Unix() {
				rows = append(rows, rowOf(one, group))
			}
		}
	}
	for _, r := range q.scanned(rows, l.isIndexed) {
		s.bytes += len(r["@message"])
		s.records++
	}
	s.rows, s.fields = q.run(rows)
	s.matched = len(s.rows)
	id = "query-" + strconv.Itoa(len(l.queries)+1)
	l.queries[id] = s
	return id, nil
}

// scanned are the rows that the query reads.
func (q query) scanned(rows []row, isIndexed func(string) bool) []row {
	for _, c := range q.commands {
		if c.name != "filter" {
			continue
		}
		if e, ok := indexed(c.filter, isIndexed); ok {
			return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !e.holds(r) })
		}
	}
	return rows
}

func (l *Logs) isIndexed(field string) bool { return slices.Contains(l.cfg.Indexed, field) }

func (l *Logs) knows(field string) bool {
	if slices.Contains([]string{"@timestamp", "@message", "@log", "@logStream"}, field) || slices.Contains(l.cfg.Fields, field) {
		return true
	}
	at := strings.LastIndexByte(field, '.') // an item of a list
	return at > 0 && strings.Trim(field[at+1:], "0123456789") == "" && slices.Contains(l.cfg.Fields, field[:at])
}

type resultField struct {
	Field string `json:"field"`
	Value string `json:"value"`
}

func (l *Logs) results(body []byte) (any, error) {
	s, err := l.of(body)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.looks++; s.looks <= l.cfg.Looks {
		return map[string]any{"status": "Running", "results": [][]resultField{}, "statistics": map[string]float64{}}, nil
	}
	rows := [][]resultField{}
	for i, r := range s.rows {
		var fields []resultField
		for _, name := range s.fields {
			if value, ok := r[name]; ok {
				fields = append(fields, resultField{name, value})
			}
		}
		rows = append(rows, append(fields, resultField{"@ptr", strconv.Itoa(i)}))
	}
	return map[string]any{
		"status": "Complete", "results": rows,
		"statistics": map[string]float64{"bytesScanned": float64(s.bytes), "recordsScanned": float64(s.records), "recordsMatched": float64(s.matched)},
	}, nil
}

func (l *Logs) stop(body []byte) (any, error) {
	s, err := l.of(body)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.stopped = true
	l.stopped++
	return map[string]bool{"success": true}, nil
}

// of returns the query that a request names.
func (l *Logs) of(body []byte) (*started, error) {
	var in struct {
		QueryID string `json:"queryId"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, refusal{"SerializationException", err.Error()}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.queries[in.QueryID]
	if s == nil {
		return nil, refusal{"ResourceNotFoundException", "no such query"}
	}
	return s, nil
}

// Result is the finished result of a query that Start has started: each row by its fields.
func (l *Logs) Result(id string) []map[string]string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var rows []map[string]string
	for _, r := range l.queries[id].rows {
		found := map[string]string{}
		for _, name := range l.queries[id].fields {
			if value, ok := r[name]; ok {
				found[name] = value
			}
		}
		rows = append(rows, found)
	}
	return rows
}

// Scanned is how many lines a query has read.
func (l *Logs) Scanned(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queries[id].records
}

// Package history says what became of an order, a license, a request or a bulk run, and why. It reads the log lines of both
// functions (internal/telemetry writes them): from CloudWatch Logs Insights ([Insights]), or from memory ([Memory], which
// licensectl local fills).
//
//	question ─► query ([Question.Query]) ─► lines ─► [Tell] ─► an answer: a timeline for each request and each event
//
// A question never holds a license key. A key is hashed first ([OfLicense]), and the lines hold the same hash.
package history

import (
	"context"
	"time"
)

// Limits of CloudWatch Logs Insights.
// Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
const (
	// maxRows is the most lines that one query returns.
	maxRows = 10_000
	// MaxGroups is the most log groups that one query reads.
	MaxGroups = 50
)

// Found are the lines that answer a question, oldest first, and what it cost to find them.
type Found struct {
	Lines []Line
	Scan  Scan
}

// Scan is what a query read.
type Scan struct {
	Groups  []string      `json:"groups,omitempty"` // log groups; none for lines in memory
	From    time.Time     `json:"from,omitzero"`
	To      time.Time     `json:"to,omitzero"`
	Queries int           `json:"queries"`
	Bytes   int64         `json:"bytes"` // of log lines
	Records int64         `json:"records"`
	Matched int64         `json:"matched"`
	Took    time.Duration `json:"-"`
	Seconds float64       `json:"seconds"`
	// Dollars is the price of the scan in most regions of the United States: dollarsPerGigabyte.
	Dollars float64 `json:"dollars"`
	// Incomplete says that more lines match than were read.
	Incomplete bool `json:"incomplete,omitempty"`
}

// dollarsPerGigabyte is what Insights costs for each gigabyte that it scans in us-east-1 (November 2026).
// Source: https://aws.amazon.com/cloudwatch/pricing/
const dollarsPerGigabyte = 0.005

const gigabyte = 1 << 30

// A Source finds the lines that answer a question. Insights and Memory are ones.
type Source interface {
	// Find returns the lines since that time. An error means that the question has no answer.
	Find(ctx context.Context, q Question, since time.Time) (Found, error)
}

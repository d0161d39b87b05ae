package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
)

// auditTimeout bounds writing one audit line.
const auditTimeout = 10 * time.Second

// Bounds of one PutLogEvents call. AWS accepts 10,000 events and 1,048,576 bytes, of which each event takes 26 more than its text.
// Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
const (
	maxLogEvents   = 5000
	maxLogBytes    = 900 << 10
	logEventExcess = 26
)

// clockTolerance is how far this machine's clock may be from that of the log before the audit's times are corrected: the Date of
// an answer is in whole seconds.
const clockTolerance = 2 * time.Second

// audit writes the audit lines of a destructive command: one before it acts and one when it ends, also when it fails or is
// interrupted. They go into the command's journal, if it has one, and with --stack into the log group of the webhook function.
// The log also gets a line for each item that the command acts on, by which licensectl why finds it. A running licensectl local
// has a log for items as well; an address of this machine that takes none, such as that of sam local start-lambda, is no error.
// Make it with newAudit.
type audit struct {
	line    deactivation.Audit
	journal func(deactivation.Audit) error // nil: the command has no journal
	logs    *cloudwatchlogs.Client         // nil: no log is known
	group   string
	isLocal bool
	stream  string        // "" until the first line
	ahead   time.Duration // this machine's clock, of that of the log
}

// newAudit returns the audit of a command that acts at a place, by an actor and for a reason. place may be nil.
func newAudit(cmd *cobra.Command, args []string, at *place, actor, comment string) *audit {
	return at.audit(deactivation.Audit{Command: cmd.CommandPath(), Actor: actor, Comment: comment, Arguments: auditArguments(cmd, args)})
}

// audit returns the audit of an act at the place. p may be nil.
func (p *place) audit(line deactivation.Audit) *audit {
	a := &audit{line: line}
	if p == nil || p.target == nil {
		return a
	}
	switch {
	case p.stack != "":
		a.group = p.logGroups()[0]
	case p.isLocal():
		a.group, a.isLocal = local.LogGroup, true
	default:
		return a
	}
	a.logs = cloudwatchlogs.NewFromConfig(p.config, func(o *cloudwatchlogs.Options) { o.BaseEndpoint = p.endpointFor(o.BaseEndpoint) })
	return a
}

// orStderr prints the lines of a command that are kept nowhere: the log of licensectl local ends with it, and no other one is
// known without --stack.
func (a *audit) orStderr(cmd *cobra.Command) *audit {
	if !a.isKept() {
		a.journal = func(line deactivation.Audit) error { return printLines(cmd.ErrOrStderr(), []any{line}) }
	}
	return a
}

// isKept reports whether the line of the command is kept in the log group of a stack.
func (a *audit) isKept() bool { return a.logs != nil && !a.isLocal }

// begin writes the line before the act, and those of the items. After an error the command must not act.
func (a *audit) begin(ctx context.Context, counts map[string]int, items ...deactivation.AuditItem) error {
	if err := a.write(ctx, deactivation.AuditBegin, counts, nil, items); err != nil {
		return failed(fmt.Errorf("the audit line cannot be written, nothing was done: %w", err), awsHint(err, "logs:CreateLogStream and logs:PutLogEvents"))
	}
	return nil
}

// end writes the line after the act, which ended with err, and those of the items with a result of their own. It returns err. It
// also writes after ctx has ended. An audit line that cannot be written is a warning: the act is done.
func (a *audit) end(cmd *cobra.Command, counts map[string]int, err error, items ...deactivation.AuditItem) error {
	if failed := a.write(context.WithoutCancel(cmd.Context()), deactivation.AuditEnd, counts, err, items); failed != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "licensectl: warning: the audit line of the end cannot be written: %v\n", failed)
	}
	return err
}

func (a *audit) write(ctx context.Context, phase string, counts map[string]int, err error, items []deactivation.AuditItem) error {
	if err := a.open(ctx, len(items) > 0); err != nil {
		return err
	}
	line := a.line
	line.At, line.Phase, line.Counts = time.Now().Add(-a.ahead).UTC().Truncate(time.Millisecond), phase, counts
	if err != nil {
		line.Error = deactivation.CleanText(err.Error())
	}
	if a.journal != nil {
		if err := a.journal(line); err != nil {
			return err
		}
	}
	if a.stream == "" {
		return nil
	}
	texts, err := logTexts(line, items)
	if err != nil {
		return err
	}
	for len(texts) > 0 {
		n := logBatch(texts)
		if err := a.put(ctx, line.At, texts[:n]); err != nil {
			return err
		}
		texts = texts[n:]
	}
	return nil
}

// open creates the command's own stream in the log group, and compares the clocks.
func (a *audit) open(ctx context.Context, hasItems bool) error {
	if a.logs == nil || a.stream != "" || a.isLocal && !hasItems {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	begin := time.Now()
	stream := "licensectl/" + begin.UTC().Format("2006/01/02") + "/" + rand.Text()
	out, err := a.logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &a.group, LogStreamName: &stream})
	if err != nil && a.isLocal {
		a.logs = nil
		return nil
	}
	if err != nil {
		return fmt.Errorf("the log group %s: %w", a.group, err)
	}
	a.stream = stream
	if at, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok && begin.Sub(at).Abs() > clockTolerance {
		a.ahead = begin.Sub(at)
	}
	return nil
}

// put writes lines into the log group.
func (a *audit) put(ctx context.Context, at time.Time, texts []string) error {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	events := make([]types.InputLogEvent, len(texts))
	for i := range texts {
		events[i] = types.InputLogEvent{Message: &texts[i], Timestamp: aws.Int64(at.UnixMilli())}
	}
	out, err := a.logs.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{LogGroupName: &a.group, LogStreamName: &a.stream, LogEvents: events})
	switch {
	case err != nil:
		return fmt.Errorf("the log group %s: %w", a.group, err)
	case out.RejectedLogEventsInfo != nil: // a wrong clock, or a retention of less than a day
		return fmt.Errorf("the log group %s does not accept lines of %s: is this machine's clock right?", a.group, at.Format(time.RFC3339))
	}
	return nil
}

// logTexts are the line of the command and those of its items. They have the fields of every other line of the functions, so that
// queries find them.
func logTexts(line deactivation.Audit, items []deactivation.AuditItem) ([]string, error) {
	type head struct {
		Timestamp time.Time `json:"timestamp"`
		Level     string    `json:"level"`
		Message   string    `json:"message"`
	}
	own := head{line.At, "INFO", deactivation.LogAudit}
	text, err := json.Marshal(struct {
		head
		deactivation.Audit
	}{own, line})
	if err != nil {
		return nil, err
	}
	texts := []string{string(text)}
	line.Arguments, line.Counts, line.Error = nil, nil, "" // the line of the command has them
	for _, item := range items {
		text, err := json.Marshal(struct {
			head
			deactivation.Audit
			deactivation.AuditItem
		}{own, line, item})
		if err != nil {
			return nil, err
		}
		texts = append(texts, string(text))
	}
	return texts, nil
}

// logBatch is how many of the lines one call may write; at least one.
func logBatch(texts []string) int {
	bytes := 0
	for i, text := range texts[:min(len(texts), maxLogEvents)] {
		if bytes += len(text) + logEventExcess; bytes > maxLogBytes && i > 0 {
			return i
		}
	}
	return min(len(texts), maxLogEvents)
}

// auditArguments returns what the command was called with. The value of a flag that may be a license key is left out, and
// so are the flags that confirm: the line has their content.
func auditArguments(cmd *cobra.Command, args []string) []string {
	arguments := slices.Clone(args)
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "yes", "expect", "comment":
		case "set", "key", "license":
			arguments = append(arguments, "--"+f.Name+"=…")
		default:
			arguments = append(arguments, deactivation.CleanText("--"+f.Name+"="+f.Value.String()))
		}
	})
	return arguments
}

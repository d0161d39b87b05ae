package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"license-deactivator/internal/deactivation"
)

// auditTimeout bounds writing one audit line.
const auditTimeout = 10 * time.Second

// audit writes the audit lines of a destructive command: one before it acts and one when it ends, also when it fails or is
// interrupted. They go into the command's journal, if it has one, and with --stack into the log group of the webhook
// function. Make it with newAudit.
type audit struct {
	line    deactivation.Audit
	journal func(deactivation.Audit) error // nil: the command has no journal
	logs    *cloudwatchlogs.Client         // nil without --stack
	group   string
	stream  string // "" until the first line
}

// newAudit returns the audit of a command that acts at a place, by an actor and for a reason. place may be nil.
func newAudit(cmd *cobra.Command, args []string, at *place, actor, comment string) *audit {
	return at.audit(deactivation.Audit{Command: cmd.CommandPath(), Actor: actor, Comment: comment, Arguments: auditArguments(cmd, args)})
}

// audit returns the audit of an act at the place. p may be nil.
func (p *place) audit(line deactivation.Audit) *audit {
	a := &audit{line: line}
	if p != nil && p.target != nil && p.stack != "" {
		a.group = p.logGroups()[0]
		a.logs = cloudwatchlogs.NewFromConfig(p.config, func(o *cloudwatchlogs.Options) { o.BaseEndpoint = p.endpointFor(o.BaseEndpoint) })
	}
	return a
}

// begin writes the line before the act. After an error the command must not act.
func (a *audit) begin(ctx context.Context, counts map[string]int) error {
	if err := a.write(ctx, deactivation.AuditBegin, counts, nil); err != nil {
		return failed(fmt.Errorf("the audit line cannot be written, nothing was done: %w", err), awsHint(err, "logs:CreateLogStream and logs:PutLogEvents"))
	}
	return nil
}

// end writes the line after the act, which ended with err, and returns err. It also writes after ctx has ended. An audit
// line that cannot be written is a warning: the act is done.
func (a *audit) end(cmd *cobra.Command, counts map[string]int, err error) error {
	if failed := a.write(context.WithoutCancel(cmd.Context()), deactivation.AuditEnd, counts, err); failed != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "licensectl: warning: the audit line of the end cannot be written: %v\n", failed)
	}
	return err
}

func (a *audit) write(ctx context.Context, phase string, counts map[string]int, err error) error {
	line := a.line
	line.At, line.Phase, line.Counts = time.Now().UTC().Truncate(time.Millisecond), phase, counts
	if err != nil {
		line.Error = deactivation.CleanText(err.Error())
	}
	if a.journal != nil {
		if err := a.journal(line); err != nil {
			return err
		}
	}
	if a.logs == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	return a.log(ctx, line)
}

// log writes the line into the log group, in a stream of this command's own. The line has the fields of every other line
// of the function, so that queries find it.
func (a *audit) log(ctx context.Context, line deactivation.Audit) error {
	text, err := json.Marshal(struct {
		Timestamp time.Time `json:"timestamp"`
		Level     string    `json:"level"`
		Message   string    `json:"message"`
		deactivation.Audit
	}{line.At, "INFO", deactivation.LogAudit, line})
	if err != nil {
		return err
	}
	if a.stream == "" {
		stream := "licensectl/" + line.At.Format("2006/01/02") + "/" + rand.Text()
		if _, err := a.logs.CreateLogStream(ctx, &cloudwatchlogs.CreateLogStreamInput{LogGroupName: &a.group, LogStreamName: &stream}); err != nil {
			return fmt.Errorf("the log group %s: %w", a.group, err)
		}
		a.stream = stream
	}
	_, err = a.logs.PutLogEvents(ctx, &cloudwatchlogs.PutLogEventsInput{
		LogGroupName: &a.group, LogStreamName: &a.stream,
		LogEvents: []types.InputLogEvent{{Message: aws.String(string(text)), Timestamp: aws.Int64(line.At.UnixMilli())}},
	})
	if err != nil {
		return fmt.Errorf("the log group %s: %w", a.group, err)
	}
	return nil
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

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/history"
)

const (
	// defaultSince is how far back a question goes: the retention of the log in production (samconfig.toml).
	defaultSince = 400 * 24 * time.Hour

	// whyTimeout bounds one question.
	whyTimeout = 5 * time.Minute
)

type whyOptions struct {
	license, id, run string
	since            string
	follow, asJSON   bool
	groups           []string
	target           target
	clock            clock
}

func newWhy(c clock) *cobra.Command {
	o := whyOptions{clock: c}
	cmd := &cobra.Command{
		Use:   "why [ORDER]",
		Short: "Say what became of an order, a license, a request or a bulk run, and why",
		Long: `why reads the log of both functions and prints what happened: delivered, decided by which rule on which values, queued, tried,
answered, verified, parked in the dead-letter queue; and what a person did: redriven, released, purged, or a license enabled again.

Ask by ORDER (one id of the order at the store: payment, order, invoice, with look-up also the subscription), by --license KEY, by --id
of a request or an event, or by the name of a bulk --run. No key leaves this machine: the query holds its hash. "--license -" reads the key from stdin.

--stack asks the log groups of a deployed stack by CloudWatch Logs Insights, which costs 0.005 USD for each gigabyte that it scans; the
last line says how much that was. --endpoint-url http://` + defaultAddress + ` asks a running licensectl local.

Exit codes: 0 found, 1 nothing found or failed, 2 usage, 3 the log holds more lines than could be read.`,
		Example: `  licensectl why 1001 --stack shop
  licensectl why --license AAAA-BBBB-CCCC-DDDD --stack shop --since 30d
  licensectl why --run 2026-11-campus --follow --stack shop      # each outcome as it comes, until the run is done
  licensectl why --id stripe.evt_3Nx.0 --endpoint-url http://` + defaultAddress,
		Args: takes(cobra.MaximumNArgs(1), "one ORDER", "ask for one order at a time"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.execute(cmd, args)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.license, "license", "", "a license key; - reads it from stdin")
	f.StringVar(&o.id, "id", "", "the id of a request, or of an event (source and event id)")
	f.StringVar(&o.run, "run", "", "the name of a bulk run")
	f.StringVar(&o.since, "since", "", "how far back: 36h, 30d, 2026-11-29 or a time in RFC 3339 (default: 400d)")
	f.BoolVar(&o.follow, "follow", false, "print each outcome as it comes, until everything has left the queue")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object; with --follow one for each outcome")
	f.StringArrayVar(&o.groups, "log-group", nil, "a log group of a function, in place of --stack; repeat it for the other function")
	o.target.addFlags(cmd)
	return cmd
}

func (o *whyOptions) execute(cmd *cobra.Command, args []string) error {
	q, err := o.question(cmd, args)
	if err != nil {
		return err
	}
	now := time.Now()
	since, err := parseSince(o.since, now)
	if err != nil {
		return misused("give a duration such as 36h or 30d, a day such as 2026-11-29, or a time such as 2026-11-29T12:00:00Z", "--since %q %v", o.since, err)
	}
	source, err := o.source(cmd.Context())
	if err != nil {
		return err
	}
	if o.follow {
		return o.followOutcomes(cmd, source, q, since)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), whyTimeout)
	defer cancel()
	answer, err := o.ask(ctx, source, q, since)
	if err != nil {
		return err
	}
	if o.asJSON {
		err = writeJSON(cmd.OutOrStdout(), answer)
	} else {
		printAnswer(cmd.OutOrStdout(), o.name(q), answer)
	}
	switch {
	case err != nil:
		return failed(err, "")
	case answer.Scan.Incomplete:
		return o.incomplete(answer)
	case !answer.Found:
		return failed(fmt.Errorf("nothing is known about %s since %s", o.name(q), since.UTC().Format(time.DateOnly)), o.nothingHint())
	}
	return nil
}

// ask returns what became of what a question is about.
func (o *whyOptions) ask(ctx context.Context, source history.Source, q history.Question, since time.Time) (history.Answer, error) {
	found, err := source.Find(ctx, q, since)
	if err != nil {
		return history.Answer{}, o.notAnswered(err)
	}
	return history.Tell(q, found), nil
}

// incomplete is the error of an answer without all of its lines; nil for one with all.
func (o *whyOptions) incomplete(a history.Answer) error {
	switch {
	case !a.Scan.Incomplete:
		return nil
	case o.isLocal():
		return partly("start licensectl local again for a log from the beginning", "licensectl local keeps the latest lines alone: older ones of %s may be missing", a.Question)
	}
	return partly("ask for a shorter time with --since", "more lines match than could be read: the oldest are shown")
}

// question returns what the person asks, by exactly one of the ways.
func (o *whyOptions) question(cmd *cobra.Command, args []string) (history.Question, error) {
	if o.license == "-" {
		text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), maxKeyBytes))
		if err != nil {
			return history.Question{}, failed(fmt.Errorf("the key cannot be read from stdin: %w", err), "")
		}
		o.license = string(text)
	}
	var asked []history.Question
	if len(args) == 1 {
		asked = append(asked, history.OfOrder(args[0]))
	}
	for flag, question := range map[string]history.Question{
		"license": history.OfLicense(o.license), "id": history.OfID(o.id), "run": history.OfRun(o.run),
	} {
		if cmd.Flags().Changed(flag) {
			asked = append(asked, question)
		}
	}
	if len(asked) != 1 || asked[0].Check() != nil {
		return history.Question{}, misused("give one: an order's id, --license KEY, --id ID or --run NAME", "why needs exactly one question")
	}
	return asked[0], nil
}

// maxKeyBytes bounds a key from stdin.
const maxKeyBytes = 4 << 10

// name is the question for a person. A key was given by the person; only its end is shown.
func (o *whyOptions) name(q history.Question) string {
	if q.LicenseHash != "" {
		return "the license " + shortKey(o.license)
	}
	return q.String()
}

// followOutcomes prints the outcomes since that time as they come, until everything that was queued has left the queue.
func (o *whyOptions) followOutcomes(cmd *cobra.Command, source history.Source, q history.Question, since time.Time) error {
	ctx := cmd.Context()
	seen := map[string]bool{}
	var all history.Found
	for from := since; ; {
		found, err := source.Find(ctx, q, from)
		if err != nil {
			return o.notAnswered(err)
		}
		all.Scan.Add(found.Scan)
		all.Scan.Incomplete = all.Scan.Incomplete || found.Scan.Incomplete
		for _, line := range found.Lines {
			if id := line.Key(); !seen[id] {
				seen[id] = true
				all.Lines = append(all.Lines, line)
				if err := o.printOutcome(cmd.OutOrStdout(), line); err != nil {
					return failed(err, "")
				}
			}
		}
		answer := history.Tell(q, all)
		if answer.Found && answer.Finished() == len(answer.Requests) && answer.Finished() >= answer.Expected() {
			if !o.asJSON {
				printSummary(cmd.OutOrStdout(), answer)
			}
			return o.incomplete(answer)
		}
		from = maxTime(from, found.Scan.To.Add(-followOverlap)) // what was written before has been read
		select {
		case <-ctx.Done():
			return failed(fmt.Errorf("interrupted: %d of %d requests have left the queue", answer.Finished(), max(answer.Expected(), len(answer.Requests))), "")
		case <-time.After(o.pause()):
		}
	}
}

// followOverlap is how far before the end of the last question the next one of --follow begins: CloudWatch shows the lines of
// two functions seconds after they were written, and not in their order, and the clock of this machine may be ahead of theirs
// by clockSkew. The log before it is not scanned again, also while nothing is found: an order's 400 days cost 0.018 USD each time.
const followOverlap = clockSkew + 5*time.Minute

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Pauses between two questions of --follow. Each question to AWS scans the log again.
const (
	followPause      = 10 * time.Second
	followPauseLocal = time.Second
)

func (o *whyOptions) pause() time.Duration {
	if o.isLocal() {
		return cmp.Or(o.clock.progress, followPauseLocal)
	}
	return cmp.Or(o.clock.progress, followPause)
}

// isLocal reports whether the question goes to a running licensectl local.
func (o *whyOptions) isLocal() bool { return len(o.groups) == 0 && o.target.isLocal() }

func (o *whyOptions) nothingHint() string {
	if o.isLocal() {
		return "licensectl local knows what happened since its start"
	}
	return "is it the order's id in the form that the store sends? a payment, order or invoice id is found, part of one is not; a license key needs --license; a new line shows after some seconds"
}

var sinceDays = regexp.MustCompile(`^([0-9]{1,5})d$`)

// parseSince reads --since.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.Add(-defaultSince), nil
	}
	if days := sinceDays.FindStringSubmatch(text); days != nil {
		n, err := strconv.Atoi(days[1])
		return notTooOld(now.AddDate(0, 0, -n), now, err)
	}
	if age, err := time.ParseDuration(text); err == nil {
		return notTooOld(now.Add(-age), now, nil)
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return notTooOld(at, now, nil)
		}
	}
	return now, errors.New("is not a time")
}

// notTooOld refuses a time that is not in the past, and one before 1970, which CloudWatch Logs does not accept.
func notTooOld(at, now time.Time, err error) (time.Time, error) {
	switch {
	case err != nil:
		return now, err
	case !at.Before(now):
		return now, errors.New("is not in the past")
	case at.Unix() < 0:
		return now, errors.New("is before 1970")
	}
	return at, nil
}

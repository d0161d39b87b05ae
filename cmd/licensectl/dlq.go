package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/local"
	"license-deactivator/internal/queue"
)

func newDLQ(f *files, c clock) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "Find, understand, redrive and purge dead letters",
		Long: `dlq works on the dead-letter queue. Each letter is a message that the system could not or must not act on, with the reason
as attributes.

  list     what is there, grouped by reason, code and source
  show     one letter: what happened, what it requests, what to do
  redrive  send chosen letters back to the queue, and delete them
  purge    delete chosen letters
  export   write chosen letters to a file

SQS has no way to read a queue without receiving its messages. A letter is hidden for 30 seconds when it is received; a
command extends that while it works, and makes the letters that it leaves visible again at once. A killed command's letters
are visible again within 30 seconds. The dead-letter queue has no redrive policy, so the number of receives decides nothing;
only CloudWatch leaves a letter that was received more than three times out of the age of the oldest one.`,
		Example: `  licensectl dlq list --stack license-deactivator
  licensectl dlq show stripe.evt_3Nx.0 --stack license-deactivator
  licensectl dlq redrive --id stripe.evt_3Nx.0 --stack license-deactivator --comment "ticket 4711"`,
	}
	return group(cmd, newDLQList(c), newDLQShow(c), newDLQRedrive(f, c), newDLQPurge(c), newDLQExport(c))
}

// letterOptions say where the letters are, which of them a command chooses, and how it prints them.
type letterOptions struct {
	target target
	clock  clock
	asJSON bool

	reasons, codes, sources, orders, ids []string
	before, after                        string
	max                                  int
}

// addFlags adds the flags of all commands of dlq. most is the default of --max.
func (o *letterOptions) addFlags(cmd *cobra.Command, most int) {
	o.target.addFlags(cmd, queueURL, deadLetterQueueURL)
	f := cmd.Flags()
	f.StringSliceVar(&o.reasons, "reason", nil, "only letters with this reason, such as held; several are separated by commas")
	f.StringSliceVar(&o.codes, "code", nil, "only letters with this code, such as license_not_found")
	f.StringSliceVar(&o.sources, "source", nil, "only letters of this sender")
	f.StringArrayVar(&o.orders, "order", nil, "only letters of this order, by any id of it")
	f.StringArrayVar(&o.ids, "id", nil, "only the letter with this id of a request or an event, or this message id; may be repeated")
	f.StringVar(&o.before, "before", "", "only letters written before: a time (2026-11-29T12:00:00Z), a day (2026-11-29), or how long ago (36h, 7d)")
	f.StringVar(&o.after, "after", "", "only letters written at that time or later")
	f.IntVar(&o.max, "max", most, "at most as many letters, the oldest; 0: all")
	f.BoolVar(&o.asJSON, "json", false, "print JSON objects, one a line")
	_ = cmd.RegisterFlagCompletionFunc("reason", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return reasonNames(), cobra.ShellCompDirectiveNoFileComp
	})
}

func reasonNames() []string {
	var names []string
	for _, r := range deactivation.Reasons() {
		names = append(names, string(r))
	}
	return names
}

// filter reads the flags.
func (o *letterOptions) filter(now time.Time) (deadletter.Filter, error) {
	f := deadletter.Filter{Codes: o.codes, Sources: o.sources, Orders: o.orders, IDs: o.ids, Max: o.max}
	for _, name := range o.reasons {
		if !slices.Contains(reasonNames(), name) {
			return f, misused("the reasons are "+strings.Join(reasonNames(), ", "), "--reason %q is no reason of a dead letter", name)
		}
		f.Reasons = append(f.Reasons, deactivation.Reason(name))
	}
	for _, empty := range [][]string{o.codes, o.sources, o.orders, o.ids} {
		if slices.Contains(empty, "") {
			return f, misused("leave the flag out to choose all", "a filter is empty")
		}
	}
	if o.max < 0 {
		return f, misused("give a number of letters", "--max %d is below 0", o.max)
	}
	var err error
	if f.Before, err = when("before", o.before, now); err != nil {
		return f, err
	}
	f.After, err = when("after", o.after, now)
	return f, err
}

// when reads a time, a day in UTC, or how long ago; "" is the zero time.
func when(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	ago, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(days)
		ago = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || ago < 0 {
		return time.Time{}, misused("give it as 2026-11-29T12:00:00Z, 2026-11-29, 36h or 7d", "--%s %q is not a time", flag, text)
	}
	return now.Add(-ago), nil
}

// lookedAt is an open dead-letter queue, with what the filter chooses.
type lookedAt struct {
	*deadletter.Look
	place  *place
	hidden int // letters that another command held when this one began
}

// open looks at the dead-letter queue. needed are further resources. The caller closes the look.
func (o *letterOptions) open(ctx context.Context, filter deadletter.Filter, bodies bool, needed ...resource) (*lookedAt, error) {
	at, err := o.target.open(ctx, append([]resource{deadLetterQueueURL}, needed...)...)
	if err != nil {
		return nil, err
	}
	return at.look(ctx, deadletter.Options{Filter: filter, Bodies: bodies, Poll: o.clock.letterPoll})
}

// look looks at the dead-letter queue of the place, which was opened with it. The caller closes the look.
func (p *place) look(ctx context.Context, o deadletter.Options) (*lookedAt, error) {
	q := p.queue(deadLetterQueueURL)
	_, hidden, err := q.Depth(ctx) // for a note alone: without the right to ask there is none
	if err != nil {
		hidden = 0
	}
	look, err := deadletter.Open(ctx, q, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil, failed(ctx.Err(), "")
		}
		return nil, p.unreadable(err)
	}
	return &lookedAt{look, p, hidden}, nil
}

// unreadable is the error of a dead-letter queue that cannot be read.
func (p *place) unreadable(err error) error {
	text := "the dead-letter queue cannot be read"
	if p.isLocal() {
		if _, ok := errors.AsType[net.Error](err); ok {
			return failed(fmt.Errorf("%s: nothing answers at %s", text, p.endpoint), "is licensectl local running at that address? licensectl local starts it")
		}
	} else {
		text += " at " + p.of(deadLetterQueueURL)
	}
	return awsFailed(err, "sqs:ReceiveMessage and sqs:ChangeMessageVisibility", text)
}

// queue returns a queue of the place; the place was opened with it.
func (p *place) queue(r resource) *queue.SQS {
	url := p.of(r)
	if p.isLocal() {
		name := local.QueueName
		if r == deadLetterQueueURL {
			name = local.DeadLetterName
		}
		url = p.endpoint + "/queues/" + name
	}
	return queue.OpenSQS(p.config, p.endpoint, url)
}

// notes say what the look did not see.
func (l *lookedAt) notes() []string {
	var notes []string
	if l.More {
		notes = append(notes, fmt.Sprintf("Only %d letters were received: SQS hands out no more at the same time. There are more.", l.Seen))
	}
	if l.hidden > 0 {
		notes = append(notes, fmt.Sprintf("%s hidden when this command began: another command held them, or was killed. "+
			"They are visible again within 30 seconds after its end.", was(l.hidden)))
	}
	return notes
}

func was(letters int) string {
	if letters == 1 {
		return "1 letter was"
	}
	return fmt.Sprintf("%d letters were", letters)
}

// ago is the time since then in its largest unit: 45s, 12m, 5h, 3d. "" if the time is not known.
func ago(then, now time.Time) string {
	d := now.Sub(then)
	switch {
	case then.IsZero():
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(d, 0)/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// ages is the ages of the first and the last of several letters: "2h to 3d", or one of them where they are the same.
func ages(letters []*deadletter.Letter, now time.Time) string {
	oldest, newest := ago(letters[0].At(), now), ago(letters[len(letters)-1].At(), now)
	if oldest == newest {
		return oldest
	}
	return newest + " to " + oldest
}

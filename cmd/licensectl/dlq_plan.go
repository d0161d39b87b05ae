package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/queue"
)

// Defaults of redrive and purge.
const (
	defaultMaxLetters       = 1000
	defaultLettersPerSecond = 10
)

// actOptions are the flags of redrive and purge, which change the dead-letter queue.
type actOptions struct {
	letterOptions
	confirmation
	plan      string
	perSecond float64
}

func (o *actOptions) addFlags(cmd *cobra.Command) {
	o.letterOptions.addFlags(cmd, defaultMaxLetters)
	o.confirmation.addFlags(cmd, "letters")
	cmd.Flags().StringVar(&o.plan, "plan", "", "the hash that the preview printed: with another plan nothing is done")
	cmd.Flags().Float64Var(&o.perSecond, "per-second", defaultLettersPerSecond, "at most as many messages a second")
}

// check reads the flags.
func (o *actOptions) check(cmd *cobra.Command) (deadletter.Filter, error) {
	if err := o.confirmation.check(cmd); err != nil {
		return deadletter.Filter{}, err
	}
	if !(o.perSecond > 0) || o.perSecond > 1e6 {
		return deadletter.Filter{}, misused("give a number above 0", "--per-second %v is out of range", o.perSecond)
	}
	return o.filter(time.Now())
}

// step is what a plan does with one letter.
type step struct {
	letter *deadletter.Letter
	way    deadletter.Way // of a redrive; purged or Kept in a purge
	why    string         // for Kept
	made   []deactivation.Request
	before string // of an event that is mapped anew
	after  []string
}

// purged is the way of a letter that a purge deletes.
const purged deadletter.Way = "purged"

// plan is what redrive or purge would do, and does.
type plan struct {
	do     string // "redrive" or "purge"
	found  *lookedAt
	steps  []step
	moves  []deadletter.Move // without releases
	hash   string
	old    int // letters of events older than deadletter.OldEvent
	opened time.Time
}

// newPlan makes a plan from the steps. The letters that are kept are visible again at once.
func newPlan(ctx context.Context, do string, found *lookedAt, steps []step) (*plan, error) {
	p := &plan{do: do, found: found, steps: steps, opened: time.Now()}
	var kept []*deadletter.Letter
	for _, s := range steps {
		if s.way == deadletter.Kept || s.way == deadletter.Mapped && len(s.made) == 0 {
			kept = append(kept, s.letter)
			continue
		}
		move, err := s.move(deactivation.Release{})
		if err != nil {
			return nil, failed(fmt.Errorf("%s cannot be sent: %w", s.letter.ID(), err), "")
		}
		p.moves = append(p.moves, move)
		if at := s.eventTime(); !at.IsZero() && p.opened.Sub(at) > deadletter.OldEvent {
			p.old++
		}
	}
	found.Release(ctx, kept)
	at := found.place
	p.hash = deadletter.Hash(strings.Join([]string{do, at.endpoint, at.of(deadLetterQueueURL), at.of(queueURL)}, " "), p.moves)
	return p, nil
}

// eventTime is when the refund happened. A whole event says only when it was received, and its requests have its own time.
func (s step) eventTime() time.Time {
	if len(s.made) > 0 && !s.made[0].OccurredAt.IsZero() {
		return s.made[0].OccurredAt
	}
	return s.letter.EventTime()
}

// move returns the letter with what is sent. Without a release it is the message as it was.
func (s step) move(release deactivation.Release) (deadletter.Move, error) {
	move := deadletter.Move{Letter: s.letter}
	var err error
	switch {
	case s.way == purged:
	case s.way == deadletter.Mapped:
		move.Entries, err = deadletter.Requests(s.made)
	default:
		way := s.way
		if release.IsZero() {
			way = deadletter.Unchanged
		}
		move.Entries = make([]queue.Entry, 1)
		move.Entries[0], err = deadletter.Entry(s.letter, way, release)
	}
	return move, err
}

// run shows the plan, asks, and moves the letters.
func (o *actOptions) run(cmd *cobra.Command, args []string, p *plan, released func(deactivation.Release) ([]deadletter.Move, error)) error {
	if err := p.show(cmd, o); err != nil {
		return err
	}
	if o.plan != "" && o.plan != p.hash {
		return held("look at the plan again, without --yes", "the plan is %s now, not %s: nothing was done", p.hash, visible(o.plan))
	}
	n := len(p.moves)
	act, err := o.allow(cmd, n, p.do+" "+count(n, "letter"))
	if err != nil || !act {
		return err
	}
	ctx := cmd.Context()
	if err := p.found.Confirm(ctx); err != nil {
		return held("look at the plan again, without --yes", "the plan no longer matches the dead-letter queue: %v: nothing was done", err)
	}
	actor := p.found.place.actor(ctx)
	moves, err := released(deactivation.Release{By: actor, At: time.Now().UTC().Truncate(time.Second), Reason: o.comment})
	if err != nil {
		return failed(err, "")
	}
	log := newAudit(cmd, args, p.found.place, actor, o.comment)
	if log.logs == nil { // no log group is known without --stack
		log.journal = func(line deactivation.Audit) error { return printLines(cmd.ErrOrStderr(), []any{line}) }
	}
	if err := log.begin(ctx, map[string]int{"letters": n}); err != nil {
		return err
	}
	result, stopped := p.found.Run(ctx, moves, p.sender(), o.perSecond, progress(cmd.ErrOrStderr(), p.do, n))
	p.found.Close()
	counts := map[string]int{"letters": n, "done": result.Done, "kept": result.Kept, "lost": result.Lost, "twice": result.Twice}
	return log.end(cmd, counts, o.report(cmd, p, result, stopped))
}

// sender is the queue that a redrive sends to.
func (p *plan) sender() deadletter.Sender {
	if p.do == doPurge {
		return nil
	}
	return p.found.place.queue(queueURL)
}

// progress prints a line at each tenth of many letters.
func progress(w io.Writer, do string, of int) func(deadletter.Result) {
	const many, parts = 100, 10
	next := 1
	return func(r deadletter.Result) {
		if of < many || r.Sum()*parts < next*of {
			return
		}
		next = r.Sum()*parts/of + 1
		fmt.Fprintf(w, "%s: %d of %d letters\n", do, r.Sum(), of)
	}
}

// report prints the result and decides the exit code.
func (o *actOptions) report(cmd *cobra.Command, p *plan, r deadletter.Result, stopped error) error {
	if o.asJSON {
		err := printLines(cmd.OutOrStdout(), []any{map[string]any{
			"count": r.Done, "kept": r.Kept, "lost": r.Lost, "twice": r.Twice, "plan": p.hash, "comment": o.comment,
		}})
		if err != nil {
			return err
		}
	} else {
		done := map[string]string{doRedrive: "redriven", doPurge: "purged"}[p.do]
		fmt.Fprintf(cmd.OutOrStdout(), "%d of %s %s.\n", r.Done, count(len(p.moves), "letter"), done)
	}
	var problems []string
	for _, one := range []struct {
		n    int
		text string
	}{
		{r.Kept, "%s kept in the dead-letter queue"},
		{r.Lost, "%s not touched, since another consumer may have received them"},
		{r.Twice, "%s sent and not deleted: they are in both queues, which does no harm"},
	} {
		if one.n > 0 {
			problems = append(problems, fmt.Sprintf(one.text, was(one.n)))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	text := strings.Join(problems, "; ")
	if stopped != nil {
		text += ": " + stopped.Error()
	}
	if errors.Is(stopped, context.Canceled) {
		text = "interrupted: " + strings.Join(problems, "; ")
	}
	hint := "run the command again; it begins with the letters that are left"
	if known := awsHint(stopped, "sqs:SendMessage on the queue, sqs:DeleteMessage and sqs:ChangeMessageVisibility on the dead-letter queue"); known != "" {
		hint = known
	}
	if r.Done+r.Twice == 0 {
		return failed(errors.New(text), hint)
	}
	return partly(hint, "%s", text)
}

// show prints the plan.
func (p *plan) show(cmd *cobra.Command, o *actOptions) error {
	if o.asJSON {
		if o.yes {
			return nil // the result ends in the one object with the count
		}
		return p.showJSON(cmd.OutOrStdout())
	}
	w := cmd.OutOrStdout()
	if len(p.steps) == 0 {
		fmt.Fprintf(w, "No letter to %s: none of %s matches.\n", p.do, count(p.found.Seen, "letter"))
	} else {
		p.table(w)
		p.differences(w)
	}
	fmt.Fprintf(w, "\nPlan %s: %s %s in %s", p.hash, p.do, count(len(p.moves), "letter"), p.where())
	if took := time.Duration(float64(p.messages()) / o.perSecond * float64(time.Second)); took > 2*time.Second {
		fmt.Fprintf(w, ", in %s at %v a second", took.Round(time.Second), o.perSecond)
	}
	fmt.Fprintln(w, ".")
	for _, note := range p.notes() {
		fmt.Fprintln(w, note)
	}
	return nil
}

// where describes the dead-letter queue for a person.
func (p *plan) where() string {
	at := p.found.place
	if at.stack == "" && !at.isLocal() {
		return "the dead-letter queue " + at.of(deadLetterQueueURL)
	}
	return at.String()
}

// messages is how many messages the plan sends, or letters that it deletes.
func (p *plan) messages() int {
	n := 0
	for _, m := range p.moves {
		n += max(len(m.Entries), 1)
	}
	return n
}

// notes are what a person must know before the act.
func (p *plan) notes() []string {
	notes := p.found.notes()
	if rest := p.found.Matched - len(p.steps); rest > 0 {
		notes = append(notes, fmt.Sprintf("These are the oldest %d of %d letters that match; --max chooses more.", len(p.steps), p.found.Matched))
	}
	if p.do != doRedrive {
		return notes
	}
	if p.old > 0 {
		notes = append(notes, fmt.Sprintf("Warning: %s older than %d days: the order may have changed since. Look at it first.",
			fromEvents(p.old), deadletter.OldEvent/(24*time.Hour)))
	}
	switch watched := slices.ContainsFunc(p.steps, func(s step) bool { return s.letter.Reason == deactivation.ReasonWatched }); {
	case p.found.place.watches():
		notes = append(notes, "Warning: the stack is in watch mode. Each letter becomes a letter again, reason watched. Set Mode=act first.")
	case watched && p.found.place.stack == "":
		notes = append(notes, "Warning: there are letters of watch mode, and the mode is known only with --stack. In watch mode they become letters again.")
	}
	return notes
}

func fromEvents(letters int) string {
	if letters == 1 {
		return "1 letter is from an event"
	}
	return fmt.Sprintf("%d letters are from events", letters)
}

// table prints the steps, grouped.
func (p *plan) table(w io.Writer) {
	type key struct {
		reason, code, source, how string
	}
	var order []key
	groups, kept := map[key][]*deadletter.Letter{}, map[string]int{}
	for _, s := range p.steps {
		k := key{string(s.letter.Reason), s.letter.Code, s.letter.Source, string(s.way)}
		if s.why != "" && len(s.made) == 0 {
			k.how = string(deadletter.Kept)
			kept[s.why]++
		}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], s.letter)
	}
	slices.SortFunc(order, func(a, b key) int {
		return cmp.Or(len(groups[b])-len(groups[a]), cmp.Compare(a.reason, b.reason), cmp.Compare(a.code, b.code), cmp.Compare(a.source, b.source), cmp.Compare(a.how, b.how))
	})
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "REASON\tCODE\tSOURCE\tLETTERS\tAGE\tHOW")
	for _, k := range order {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\n", visible(k.reason), orDash(visible(k.code)), orDash(visible(k.source)), len(groups[k]),
			ages(groups[k], p.opened), visible(k.how))
	}
	_ = table.Flush() // checkedWriter keeps a write error
	for _, why := range slices.Sorted(maps.Keys(kept)) {
		p := page{w: w}
		for _, line := range wrap(fmt.Sprintf("%s kept: %s.", is(kept[why], "letter"), strings.TrimSuffix(why, ".")), ruleWidth) {
			p.outside(line)
		}
	}
}

// shownDifferences bounds the events whose requests a plan prints; --json prints all.
const shownDifferences = 20

// differences prints for each event that is mapped anew or completed what it was and what it becomes.
func (p *plan) differences(w io.Writer) {
	shown := 0
	for _, s := range p.steps {
		if s.before == "" {
			continue
		}
		if shown++; shown > shownDifferences {
			fmt.Fprintln(w, "\n… and more events; --json lists them all.")
			return
		}
		fmt.Fprintf(w, "\n%s\n  before  %s\n", visible(s.letter.ID()), visible(s.before))
		for i, line := range s.after {
			fmt.Fprintf(w, "  %-6s  %s\n", []string{"after", ""}[min(i, 1)], visible(line))
		}
	}
}

// stepLine is a step in JSON.
type stepLine struct {
	ID        string   `json:"id"`
	MessageID string   `json:"message_id"`
	Reason    string   `json:"reason"`
	Code      string   `json:"code,omitempty"`
	Source    string   `json:"source,omitempty"`
	Way       string   `json:"way"`
	Why       string   `json:"why,omitempty"`
	Before    string   `json:"before,omitempty"`
	After     []string `json:"after,omitempty"`
}

func (p *plan) showJSON(w io.Writer) error {
	var lines []any
	for _, s := range p.steps {
		lines = append(lines, stepLine{
			ID: s.letter.ID(), MessageID: s.letter.MessageID, Reason: string(s.letter.Reason), Code: s.letter.Code, Source: s.letter.Source,
			Way: string(s.way), Why: s.why, Before: s.before, After: s.after,
		})
	}
	lines = append(lines, map[string]any{
		"count": len(p.moves), "plan": p.hash, "kept": len(p.steps) - len(p.moves), "matched": p.found.Matched, "older_than_7_days": p.old,
		"watch": p.found.place.watches(), "hidden": p.found.hidden, "more": p.found.More,
	})
	return printLines(w, lines)
}

package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/console"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/source"
)

// letterDesk is console.Letters over the queues of a place. It looks, plans and acts as licensectl dlq does. Make it with
// newLetterDesk.
type letterDesk struct {
	open    func(context.Context) (*place, error) // with both queues
	sources func() (*source.Sources, error)
	journal func(deactivation.Audit) error // the audit lines where no log group is known

	perSecond float64       // messages that an act sends
	poll      time.Duration // deadletter.Options.Poll

	// free is empty while a look is open: a second one would not see the letters that it holds.
	free chan struct{}
}

func newLetterDesk(d letterDesk) *letterDesk {
	d.free = make(chan struct{}, 1)
	d.free <- struct{}{}
	return &d
}

// look looks at the letters that the filter chooses, at most that many. The caller calls end.
func (d *letterDesk) look(ctx context.Context, f console.LetterFilter, most int) (found *lookedAt, end func(), err error) {
	select {
	case <-ctx.Done():
		return nil, nil, failed(ctx.Err(), "")
	case <-d.free:
	}
	defer func() {
		if err != nil {
			d.free <- struct{}{}
		}
	}()
	at, err := d.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	found, err = at.look(ctx, deadletter.Options{Filter: chosenBy(f, most), Bodies: true, Poll: d.poll})
	if err != nil {
		return nil, nil, err
	}
	return found, func() {
		found.Close()
		d.free <- struct{}{}
	}, nil
}

// chosenBy is the filter of a page as that of a look.
func chosenBy(f console.LetterFilter, most int) deadletter.Filter {
	one := func(value string) []string {
		if value == "" {
			return nil
		}
		return []string{value}
	}
	chosen := deadletter.Filter{Codes: one(f.Code), Sources: one(f.Source), Orders: one(f.Order), IDs: f.IDs, Max: most}
	if f.Reason != "" {
		chosen.Reasons = []deactivation.Reason{f.Reason}
	}
	if f.NoCode {
		chosen.Codes = []string{""}
	}
	if f.NoSource {
		chosen.Sources = []string{""}
	}
	return chosen
}

// List implements console.Letters.
func (d *letterDesk) List(ctx context.Context, f console.LetterFilter) (console.LetterList, error) {
	found, end, err := d.look(ctx, f, 0)
	if err != nil {
		return console.LetterList{}, err
	}
	defer end()
	list := console.LetterList{Seen: found.Seen, Notes: found.notes()}
	for _, l := range found.Chosen {
		list.Letters = append(list.Letters, letterOf(l, found.place.target))
	}
	return list, nil
}

// Show implements console.Letters.
func (d *letterDesk) Show(ctx context.Context, id string) (console.Letter, error) {
	found, end, err := d.look(ctx, console.LetterFilter{IDs: []string{id}}, 1)
	if err != nil {
		return console.Letter{}, err
	}
	defer end()
	if len(found.Chosen) == 0 {
		return console.Letter{}, console.ErrNoLetter
	}
	l := found.Chosen[0]
	letter := letterOf(l, found.place.target)
	letter.Content = contentOf(l)
	if l.Event != nil {
		sources, err := d.sources()
		if err != nil {
			return letter, err
		}
		drafts, _ := deadletter.DraftsOf(l, sources) // without drafts there is nothing to complete; the plan says why
		for _, draft := range drafts {
			letter.Drafts = append(letter.Drafts, draftOf(draft))
		}
	}
	return letter, nil
}

// letterOf is a letter without its content.
func letterOf(l *deadletter.Letter, at *target) console.Letter {
	line := lineOf(l)
	way, why := deadletter.Redrive(l, true)
	return console.Letter{
		ID: line.ID, MessageID: line.MessageID, Reason: l.Reason, Code: line.Code, Detail: line.Detail, Source: line.Source, Attempts: line.Attempts,
		At: line.At, Kind: line.Kind, Orders: line.Order, Is: sentence(line.Is), ToDo: sentence(line.Do),
		Redrive: sentence(redriveText(way, why)), Way: line.Redrive, Command: strings.Join(nextCommand(l, way, at), " "),
	}
}

// contentOf is what a letter holds, without keys.
func contentOf(l *deadletter.Letter) [][2]string {
	var rows []row
	switch {
	case l.Request != nil:
		rows = requestRows(*l.Request)
	case l.Event != nil:
		rows = eventRows(*l.Event)
	default:
		rows = []row{{"content", foreignText(l)}}
	}
	content := make([][2]string, len(rows))
	for i, r := range rows {
		content[i] = [2]string{r[0], r[1]}
	}
	return content
}

// draftOf is a draft without keys.
func draftOf(d source.Draft) console.Draft {
	draft := console.Draft{ID: d.ID, Missing: d.Missing, Problem: d.Problem}
	for _, f := range deadletter.Fields() {
		value := f.Get(&d.Request)
		if f.Names() {
			value = deactivation.Shorten(value)
		}
		if f == "password" || f == "id_token" || f == "code" {
			value = masked(value)
		}
		draft.Fields = append(draft.Fields, console.Field{Name: string(f), Value: value})
	}
	return draft
}

// masked says only that there is a value.
func masked(value string) string {
	if value == "" {
		return ""
	}
	return "…"
}

// planned is an open plan. end closes its look.
type planned struct {
	*plan
	end      func()
	released func(deactivation.Release) ([]deadletter.Move, error)
}

// plan makes the plan of an act. The caller calls end.
func (d *letterDesk) plan(ctx context.Context, a console.Act) (p *planned, err error) {
	if a.Do != console.DoRedrive && a.Do != console.DoPurge {
		return nil, failed(fmt.Errorf("%q is neither redrive nor purge", a.Do), "")
	}
	found, end, err := d.look(ctx, a.Filter, defaultMaxLetters)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	byID := len(a.Filter.IDs) > 0
	if a.Do == console.DoPurge {
		made, err := newPlan(ctx, doPurge, found, deadletter.PurgeSteps(found.Chosen, byID))
		if err != nil {
			return nil, err
		}
		return &planned{made, end, func(deactivation.Release) ([]deadletter.Move, error) { return made.Moves, nil }}, nil
	}
	steps := deadletter.RedriveSteps(found.Chosen, byID)
	if err := d.mapEvents(ctx, found.place, deadletter.Events(steps), a); err != nil {
		return nil, err
	}
	made, err := newPlan(ctx, doRedrive, found, steps)
	if err != nil {
		return nil, err
	}
	return &planned{made, end, func(r deactivation.Release) ([]deadletter.Move, error) { return made.Released(r, a.Set != nil) }}, nil
}

// mapEvents makes requests of whole events, as the act says.
func (d *letterDesk) mapEvents(ctx context.Context, at *place, events []*deadletter.Step, a console.Act) error {
	if !a.Remap && a.Set == nil || len(events) == 0 {
		return nil
	}
	sources, err := d.sources()
	if err != nil {
		return err
	}
	lookUp := at.looksUp(ctx)
	if a.Remap {
		for _, s := range events {
			s.Remap(sources, lookUp)
		}
		return nil
	}
	return deadletter.Complete(events, sources, func(drafts []source.Draft) ([]deactivation.Request, error) {
		return completed(drafts, a.Set, lookUp)
	})
}

// completed are the requests of drafts with a person's values. A draft without values is left out.
func completed(drafts []source.Draft, set map[string]map[string]string, lookUp bool) ([]deactivation.Request, error) {
	var requests []deactivation.Request
	for _, d := range drafts {
		values, ok := set[d.ID]
		if !ok {
			continue
		}
		r := d.Request
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if !deadletter.IsField(name) {
				return nil, failed(fmt.Errorf("%s: %q is not a field of a request", d.ID, name), "the fields are "+fieldNames())
			}
			if err := deadletter.Field(name).Set(&r, values[name]); err != nil {
				return nil, failed(fmt.Errorf("%s: %w", d.ID, err), "")
			}
		}
		if err := deadletter.CheckComplete(r, lookUp); err != nil {
			return nil, failed(err, "complete the field; nothing was done")
		}
		requests = append(requests, r)
	}
	return requests, nil
}

// looksUp reports whether the worker looks licenses up, as far as its variables can be read.
func (p *place) looksUp(ctx context.Context) bool {
	worker := p.of(workerFunctionName)
	if worker == "" {
		return false
	}
	variables, err := p.variables(ctx, worker)
	return err == nil && variables["LOOK_UP"] == "on"
}

// Plan implements console.Letters.
func (d *letterDesk) Plan(ctx context.Context, a console.Act) (console.Plan, error) {
	p, err := d.plan(ctx, a)
	if err != nil {
		return console.Plan{}, err
	}
	defer p.end()
	out := console.Plan{Hash: p.Hash, Count: len(p.Moves), Notes: p.consoleNotes()}
	groups, kept := p.Groups()
	for _, g := range groups {
		out.Groups = append(out.Groups, console.PlanGroup{
			Reason: g.Reason, Code: g.Code, Source: g.Source, How: string(g.How), Count: len(g.Letters), Oldest: g.Oldest(), Newest: g.Newest(),
		})
	}
	for _, why := range slices.Sorted(maps.Keys(kept)) {
		out.Kept = append(out.Kept, console.KeptLetters{Count: kept[why], Why: sentence(why)})
	}
	for _, s := range p.Steps {
		if s.Before != "" {
			out.Changes = append(out.Changes, console.Change{ID: s.Letter.ID(), Before: s.Before, After: s.After})
		}
	}
	return out, nil
}

// consoleNotes are those of the plan, without flags.
func (p *planned) consoleNotes() []string {
	notes := p.found.notes()
	if rest := p.found.Matched - len(p.Steps); rest > 0 {
		notes = append(notes, fmt.Sprintf("These are the oldest %d of %d letters that match. Make the plan again for the others.", len(p.Steps), p.found.Matched))
	}
	if p.do == doRedrive {
		notes = append(notes, p.Warnings(p.found.place.watches(), p.found.place.of(stackMode) != "")...)
	}
	return notes
}

// Do implements console.Letters.
func (d *letterDesk) Do(ctx context.Context, a console.Act, c console.Confirmation) (console.Result, error) {
	if strings.TrimSpace(c.Comment) == "" {
		return console.Result{}, failed(errors.New("there is no comment"), "say why: readers of the log see it")
	}
	if err := deactivation.CheckText("comment", c.Comment); err != nil {
		return console.Result{}, failed(err, "give one short line")
	}
	p, err := d.plan(ctx, a)
	if err != nil {
		return console.Result{}, err
	}
	defer p.end()
	switch {
	case c.Hash != p.Hash:
		return console.Result{}, console.ErrStale
	case c.Count != len(p.Moves):
		return console.Result{}, console.ErrCount
	case p.found.Confirm(ctx) != nil:
		return console.Result{}, console.ErrStale
	}
	at := p.found.place
	log := at.audit(deactivation.Audit{
		Command: "licensectl console " + p.do, Actor: at.actor(ctx), Comment: c.Comment, Arguments: argumentsOf(a),
	})
	if !log.isKept() {
		log.journal = d.journal
	}
	result, stopped, err := p.act(ctx, log, p.released, d.perSecond, nil)
	if err != nil {
		return console.Result{}, err
	}
	out := console.Result{Of: len(p.Moves), Done: result.Done}
	var problem error
	if out.Problem, out.Hint = unmoved(result, stopped); out.Problem != "" {
		problem = errors.New(out.Problem)
	}
	if err := log.write(context.WithoutCancel(ctx), deactivation.AuditEnd, p.counts(result), problem, p.AuditLeft(p.found.Left, stopped)); err != nil {
		out.Problem = strings.TrimPrefix(out.Problem+"; ", "; ") + "the audit line of the end cannot be written: " + err.Error()
	}
	return out, nil
}

// argumentsOf is what was done, in the form of the arguments of licensectl dlq: readers of the log find the letters by them.
func argumentsOf(a console.Act) []string {
	var arguments []string
	add := func(flag string, chosen bool, values ...string) {
		if !chosen {
			return
		}
		var line strings.Builder
		w := csv.NewWriter(&line)
		_ = w.Write(values) // a strings.Builder takes everything
		w.Flush()
		list := cmp.Or(strings.TrimSuffix(line.String(), "\n"), `""`) // one empty value
		arguments = append(arguments, deactivation.CleanText("--"+flag+"=["+list+"]"))
	}
	f := a.Filter
	add("code", f.Code != "" || f.NoCode, f.Code)
	add("id", len(f.IDs) > 0, f.IDs...)
	add("order", f.Order != "", f.Order)
	add("reason", f.Reason != "", string(f.Reason))
	if a.Remap {
		arguments = append(arguments, "--remap=true")
	}
	if a.Set != nil {
		arguments = append(arguments, "--set=…")
	}
	add("source", f.Source != "" || f.NoSource, f.Source)
	return arguments
}

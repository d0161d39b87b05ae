package main

import (
	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/source"
)

// What a plan does.
const (
	doRedrive = "redrive"
	doPurge   = "purge"
)

type redriveOptions struct {
	actOptions
	remap  bool
	edit   bool
	set    []string
	lookUp bool
	files  *files
}

func newDLQRedrive(f *files, c clock) *cobra.Command {
	o := redriveOptions{files: f, actOptions: actOptions{letterOptions: letterOptions{clock: c}}}
	cmd := &cobra.Command{
		Use:   "redrive",
		Short: "Send chosen dead letters back to the queue, and delete them",
		Long: `redrive shows a plan: which letters it would send, and how. With a comment and the right count it sends them to the queue
and then deletes them, ten at a time, at most --per-second. A kill loses no letter; at most the batch of that moment is in
both queues, which does no harm, since requests keep their ids.

  held, stale, watched, and the reviews of the look-up (too_many, partial, unconfirmed, given_back, newer_than_event)
             are released: the message says who released it, when, and the comment as the reason
  reversed   is never sent: purge it, or give the license back with licensectl restore
  unmappable is a whole event. --remap maps it anew with today's files (--sources DIR: with those). --set field=value
             completes its requests, --edit opens them in $EDITOR; both are released as well
  others     are sent unchanged. A letter that is no message of this system is sent only by its --id

Correct the cause first: a letter that is sent without a correction comes back. In watch mode every letter comes back.

Without --comment there is only the plan. On a terminal --comment TEXT is enough, and redrive asks for the count. Scripts
give --comment TEXT --yes --expect N, and --plan HASH to be sure of the letters too.

Exit codes: 0 all done, or nothing to do; 1 none done, 2 usage, 3 some done, 4 another count or plan: nothing was done.`,
		Example: `  licensectl dlq redrive --reason held --source stripe --stack license-deactivator
  licensectl dlq redrive --reason held --source stripe --stack license-deactivator --comment "spring sale, checked" --yes --expect 12
  licensectl dlq redrive --reason unmappable --source shopify --remap --sources my-sources --stack license-deactivator
  licensectl dlq redrive --id stripe.evt_3Nx --set hardware_id=AB-12 --stack license-deactivator --comment "ticket 4711"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&o.remap, "remap", false, "map events anew with today's files of the senders")
	cmd.Flags().BoolVar(&o.edit, "edit", false, "complete the requests of unmappable events in $EDITOR")
	cmd.Flags().StringArrayVar(&o.set, "set", nil, "field=value: complete the requests of unmappable events; may be repeated")
	cmd.Flags().BoolVar(&o.lookUp, "look-up", false, "with --remap, --edit and --set: the stack looks licenses up (LOOK_UP=on), so that a request may lack its device")
	cmd.MarkFlagsMutuallyExclusive("remap", "edit")
	cmd.MarkFlagsMutuallyExclusive("remap", "set")
	return cmd
}

func (o *redriveOptions) run(cmd *cobra.Command, args []string) error {
	filter, err := o.check(cmd)
	if err != nil {
		return err
	}
	set, err := readSets(o.set)
	if err != nil {
		return err
	}
	var sources *source.Sources
	if o.remap || o.edit || len(set) > 0 {
		if sources, err = o.files.load(); err != nil {
			return err
		}
	}
	found, err := o.open(cmd.Context(), filter, true, queueURL)
	if err != nil {
		return err
	}
	defer found.Close()
	steps, err := o.steps(cmd, found, sources, set, len(filter.IDs) > 0)
	if err != nil {
		return err
	}
	p, err := newPlan(cmd.Context(), doRedrive, found, steps)
	if err != nil {
		return err
	}
	completed := o.edit || len(set) > 0
	return o.actOptions.run(cmd, args, p, func(release deactivation.Release) ([]deadletter.Move, error) {
		return p.Released(release, completed)
	})
}

// steps decides what is done with each letter.
func (o *redriveOptions) steps(cmd *cobra.Command, found *lookedAt, sources *source.Sources, set []assignment, byID bool) ([]deadletter.Step, error) {
	steps := deadletter.RedriveSteps(found.Chosen, byID)
	events := deadletter.Events(steps)
	flag := o.flag(set)
	switch {
	case flag != "" && len(events) == 0 && len(steps) > 0:
		return nil, misused("leave it out to send them as they are; a request with other data is a row of licensectl deactivate",
			"%s makes requests of whole events, and none of the chosen letters is one", flag)
	case o.remap:
		for _, s := range events {
			s.Remap(sources, o.lookUp)
		}
	case o.edit || len(set) > 0:
		if err := o.complete(cmd, events, sources, set); err != nil {
			return nil, err
		}
	}
	return steps, nil
}

// flag is the flag that makes requests of events; "" for none.
func (o *redriveOptions) flag(set []assignment) string {
	switch {
	case o.remap:
		return "--remap"
	case o.edit:
		return "--edit"
	case len(set) > 0:
		return "--set"
	}
	return ""
}

func newDLQPurge(c clock) *cobra.Command {
	o := actOptions{letterOptions: letterOptions{clock: c}}
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Delete chosen dead letters",
		Long: `purge shows which letters it would delete. With a comment and the right count it deletes them. What it deletes is gone: save
the letters with export first. A letter that is no message of this system is deleted only by its --id.

Without --comment there is only the plan. On a terminal --comment TEXT is enough, and purge asks for the count. Scripts give
--comment TEXT --yes --expect N, and --plan HASH to be sure of the letters too.

Exit codes: 0 all done, or nothing to do; 1 none done, 2 usage, 3 some done, 4 another count or plan: nothing was done.`,
		Example: `  licensectl dlq purge --reason reversed --before 7d --stack license-deactivator
  licensectl dlq purge --id stripe.evt_3Nx --stack license-deactivator --comment "not real, ticket 4711" --yes --expect 1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return o.purge(cmd, args) },
	}
	o.addFlags(cmd)
	return cmd
}

func (o *actOptions) purge(cmd *cobra.Command, args []string) error {
	filter, err := o.check(cmd)
	if err != nil {
		return err
	}
	found, err := o.open(cmd.Context(), filter, false)
	if err != nil {
		return err
	}
	defer found.Close()
	p, err := newPlan(cmd.Context(), doPurge, found, deadletter.PurgeSteps(found.Chosen, len(filter.IDs) > 0))
	if err != nil {
		return err
	}
	return o.run(cmd, args, p, func(deactivation.Release) ([]deadletter.Move, error) { return p.Moves, nil })
}

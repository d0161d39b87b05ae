package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deactivation"
)

type submitOptions struct {
	confirmation
	target target
	at     *place // nil: not opened, since a preview needs none
	direct directAPI
	toAPI  bool // --direct
	bundle bool
	asJSON bool
}

func newOfflineSubmit() *cobra.Command {
	var o submitOptions
	cmd := &cobra.Command{
		Use:   "submit FILE...",
		Short: "Free the slots of the licenses that request files name",
		Long: `submit shows what request files (.req, "-" from stdin) request. With a comment and the right count it submits them: to the
webhook function, which enqueues them for the worker, or with --direct from this machine to the License API, signed with the
keys of --secrets. Each file is posted unchanged. A file that is submitted again finds its device inactive.

A corrupt file is refused with its reason, and the others are submitted. --bundle: the files name bundles, and every
license of the bundle is deactivated. A file does not contain this information.

Without --comment there is only a preview. On a terminal --comment TEXT is enough, and submit asks for the count. Scripts
give --comment TEXT --yes --expect N.

Exit codes: 0 all submitted (--direct: all deactivated), 1 none, 2 usage, 3 some, 4 wrong count, nothing was done.`,
		Example: `  licensectl offline submit deactivate_offline.req --stack license-deactivator
  licensectl offline submit *.req --endpoint-url http://127.0.0.1:8080 --comment "ticket 4711"
  licensectl offline submit *.req --direct --secrets secrets.json --comment "ticket 4711" --yes --expect 3`,
		Args: takes(cobra.MinimumNArgs(1), "a FILE", "give request files, such as deactivate_offline.req"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	o.confirmation.addFlags(cmd, "request files")
	o.target.addFlags(cmd, webhookFunctionName)
	o.direct.addFlags(cmd)
	cmd.Flags().BoolVar(&o.toAPI, "direct", false, "call the License API from this machine, with the keys of --secrets")
	cmd.Flags().BoolVar(&o.bundle, "bundle", false, "the files name bundles")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object for each file, and one with the count at the end")
	return cmd
}

// submitted is a line about a file: in the preview what it requests, afterwards its outcome.
type submitted struct {
	File    string   `json:"file"`
	Product string   `json:"product,omitempty"`
	License string   `json:"license,omitempty"`
	Device  string   `json:"device,omitempty"`
	Schema  int      `json:"schema,omitempty"`
	Notes   []string `json:"notes,omitempty"`

	ID      string `json:"id,omitempty"`      // of the request, by the function
	Outcome string `json:"outcome,omitempty"` // accepted, deactivated, already_inactive, rejected, failed, not_sent, refused
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

// Outcomes of a file in addition to those of a message.
const (
	outcomeRefused = "refused" // the file cannot be read
	outcomeFailed  = "failed"  // the result is unknown, or the file can be tried again
	outcomeNotSent = "not_sent"
)

func (o *submitOptions) run(cmd *cobra.Command, args []string) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	if slices.Contains(args, "-") && !o.yes && o.comment != "" && isTerminal(cmd.InOrStdin()) {
		return misused("give --yes --expect N", "the count cannot be typed while a file is read from stdin")
	}
	if err := o.open(cmd); err != nil {
		return err
	}
	files := readRequestFiles(cmd.InOrStdin(), args)
	good := slices.DeleteFunc(slices.Clone(files), func(f requestFile) bool { return f.err != nil })

	if err := o.preview(cmd, files, len(good)); err != nil {
		return err
	}
	act, err := o.allow(cmd, len(good), "submit "+count(len(good), "request file")+" "+o.where())
	if err != nil {
		return err
	}
	if !act {
		return outcomeOf(len(good), len(files), "%d of %s cannot be submitted", len(files)-len(good), count(len(files), "file"))
	}
	by := o.at.actor(cmd.Context())
	trail := newAudit(cmd, args, o.at, by, o.comment)
	if err := trail.begin(cmd.Context(), map[string]int{"files": len(good)}); err != nil {
		return err
	}
	var results []submitted
	if o.toAPI {
		results, err = o.direct.submit(cmd.Context(), good, o.bundle)
	} else {
		results, err = o.at.webhookFunction().submit(cmd.Context(), good, o.bundle, by, o.comment)
	}
	outcomes := map[string]int{}
	for _, r := range results {
		outcomes[r.Outcome]++
	}
	if err == nil {
		err = o.report(cmd, files, results)
	}
	return trail.end(cmd, outcomes, err)
}

// where returns where the files would go.
func (o *submitOptions) where() string {
	switch {
	case o.toAPI:
		return "to the License API at " + o.direct.address
	case o.at != nil:
		return "to the " + o.at.functionText()
	case o.target.given():
		return "to the " + o.target.String()
	}
	return "(to a --stack NAME, or with --direct)"
}

// open finds the function before the preview, which names it. A preview without a place to submit to needs none, and one
// of a function that is named needs no AWS.
func (o *submitOptions) open(cmd *cobra.Command) (err error) {
	acts := o.yes || o.comment != "" && isTerminal(cmd.InOrStdin())
	if o.toAPI || !acts && o.target.stack == "" && !o.target.isLocal() {
		return nil
	}
	o.at, err = o.target.open(cmd.Context(), webhookFunctionName)
	return err
}

func (o *submitOptions) check(cmd *cobra.Command) error {
	if err := o.confirmation.check(cmd); err != nil {
		return err
	}
	if !o.toAPI {
		for _, name := range []string{"secrets", "license-api", "multipart"} {
			if cmd.Flags().Changed(name) {
				return misused("add --direct, or leave it out", "--%s goes with --direct", name)
			}
		}
		if !o.target.given() && !o.yes && o.comment == "" {
			return nil // a preview needs no place to submit to
		}
		return o.target.check(webhookFunctionName)
	}
	if o.target.given() {
		return misused("leave one of them out", "--direct and a function exclude each other")
	}
	return o.direct.check()
}

// outcomeOf turns the number of good ones into an error, or nil if all are good.
func outcomeOf(good, all int, format string, args ...any) error {
	switch good {
	case all:
		return nil
	case 0:
		return failed(fmt.Errorf(format, args...), "")
	}
	return partly("", format, args...)
}

// preview prints what the files request. With --json it ends in the object with the count. Before an act there is no
// such object: the results of the act end in one.
func (o *submitOptions) preview(cmd *cobra.Command, files []requestFile, good int) error {
	var lines []submitted
	for _, f := range files {
		line := submitted{File: f.name}
		if f.err != nil {
			line.Outcome, line.Message = outcomeRefused, f.err.Error()
		} else {
			line.Product, line.License, line.Device, line.Schema, line.Notes = deactivation.CleanText(f.Product), f.licenseName(),
				deactivation.CleanText(deactivation.Shorten(f.HardwareID)), f.Schema, f.notes()
		}
		lines = append(lines, line)
	}
	if o.asJSON {
		if o.yes {
			return nil
		}
		return printJSON(cmd, lines, map[string]any{"count": good, "refused": len(files) - good})
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FILE\tPRODUCT\tLICENSE\tDEVICE\tSCHEMA\tNOTE")
	for _, line := range lines {
		if line.Outcome == outcomeRefused {
			fmt.Fprintf(table, "%s\t-\t-\t-\t-\trefused: %s\n", line.File, line.Message)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%s\n", line.File, orDash(line.Product), orDash(line.License), orDash(line.Device), line.Schema,
			orDash(strings.Join(line.Notes, "; ")))
	}
	fmt.Fprintf(table, "\n%s, %d refused\n", count(good, "request file"), len(files)-good)
	return table.Flush()
}

// report prints the outcomes of the files and decides the exit code.
func (o *submitOptions) report(cmd *cobra.Command, files []requestFile, results []submitted) error {
	done, outcomes := 0, map[string]int{}
	for _, f := range files {
		if f.err != nil {
			results = append(results, submitted{File: f.name, Outcome: outcomeRefused, Message: f.err.Error()})
		}
	}
	for _, r := range results {
		outcomes[r.Outcome]++
		switch r.Outcome {
		case string(deactivation.Accepted), string(deactivation.Deactivated), string(deactivation.AlreadyInactive):
			done++
		}
	}
	if o.asJSON {
		if err := printJSON(cmd, results, map[string]any{"count": done, "outcomes": outcomes, "comment": o.comment}); err != nil {
			return err
		}
	} else {
		table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "\nFILE\tOUTCOME\tCODE\tID\tMESSAGE")
		for _, r := range results {
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.File, r.Outcome, orDash(r.Code), orDash(r.ID), orDash(r.Message))
		}
		if err := table.Flush(); err != nil {
			return failed(err, "")
		}
	}
	return outcomeOf(done, len(results), "%d of %s are not done", len(results)-done, count(len(results), "file"))
}

// printJSON prints an object for each line, and one at the end.
func printJSON(cmd *cobra.Command, lines []submitted, end map[string]any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetEscapeHTML(false)
	for _, line := range lines {
		if err := enc.Encode(line); err != nil {
			return failed(err, "")
		}
	}
	if err := enc.Encode(end); err != nil {
		return failed(err, "")
	}
	return nil
}

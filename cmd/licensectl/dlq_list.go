package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deadletter"
)

type listOptions struct {
	letterOptions
	each bool
}

func newDLQList(c clock) *cobra.Command {
	o := listOptions{letterOptions: letterOptions{clock: c}}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show what is in the dead-letter queue, grouped by reason, code and source",
		Long: `list counts the letters by reason, code and source, most letters first, with their ages. --ids lists each letter instead,
the oldest first. --json prints one object for each group with the ids of its letters, and at the end one with the count.

A letter without a reason was moved by SQS itself after 300 receives: its reason is exhausted.`,
		Example: `  licensectl dlq list --stack license-deactivator
  licensectl dlq list --stack license-deactivator --reason held --ids
  licensectl dlq list --endpoint-url http://127.0.0.1:8080 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.addFlags(cmd, 0)
	cmd.Flags().BoolVar(&o.each, "ids", false, "list each letter")
	return cmd
}

func (o *listOptions) run(cmd *cobra.Command) error {
	now := time.Now()
	filter, err := o.filter(now)
	if err != nil {
		return err
	}
	found, err := o.open(cmd.Context(), filter, false)
	if err != nil {
		return err
	}
	found.Close()
	groups := deadletter.Groups(found.Chosen)
	switch {
	case o.asJSON:
		return printGroupsJSON(cmd.OutOrStdout(), found, groups)
	case len(groups) == 0 && found.Seen > 0:
		fmt.Fprintf(cmd.OutOrStdout(), "None of %s matches.\n", count(found.Seen, "letter"))
	case len(groups) == 0:
		fmt.Fprintln(cmd.OutOrStdout(), "The dead-letter queue is empty.")
	case o.each:
		printLetters(cmd.OutOrStdout(), found.Chosen, now)
	default:
		printGroups(cmd.OutOrStdout(), groups, now)
		text := fmt.Sprintf("%s in %s. --ids lists each; show ID explains one.", count(len(found.Chosen), "letter"), count(len(groups), "group"))
		fmt.Fprintln(cmd.OutOrStdout(), "\n"+fold(cmd.OutOrStdout(), text, 0))
	}
	for _, note := range found.notes() {
		fmt.Fprintln(cmd.OutOrStdout(), fold(cmd.OutOrStdout(), note, 0))
	}
	return nil
}

func printGroups(w io.Writer, groups []deadletter.Group, now time.Time) {
	var rows [][]string
	for _, g := range groups {
		rows = append(rows, []string{
			visible(string(g.Reason)), orDash(visible(g.Code)), orDash(visible(g.Source)), strconv.Itoa(len(g.Letters)), ages(g.Letters, now),
		})
	}
	printColumns(w, []string{"REASON", "CODE", "SOURCE", "LETTERS", "AGE"}, rows)
}

func printLetters(w io.Writer, letters []*deadletter.Letter, now time.Time) {
	var rows [][]string
	for _, l := range letters {
		rows = append(rows, []string{visible(l.ID()), visible(string(l.Reason)), orDash(visible(l.Code)), ago(l.At(), now), orDash(visible(l.Detail))})
	}
	printColumns(w, []string{"ID", "REASON", "CODE", "AGE", "DETAIL"}, rows)
}

// groupLine is a group in JSON.
type groupLine struct {
	Reason string    `json:"reason"`
	Code   string    `json:"code,omitempty"`
	Source string    `json:"source,omitempty"`
	Count  int       `json:"count"`
	Oldest time.Time `json:"oldest"`
	Newest time.Time `json:"newest"`
	IDs    []string  `json:"ids"`
}

func printGroupsJSON(w io.Writer, found *lookedAt, groups []deadletter.Group) error {
	var lines []any
	for _, g := range groups {
		line := groupLine{Reason: string(g.Reason), Code: g.Code, Source: g.Source, Count: len(g.Letters), Oldest: g.Oldest().UTC(), Newest: g.Newest().UTC()}
		for _, l := range g.Letters {
			line.IDs = append(line.IDs, l.ID())
		}
		lines = append(lines, line)
	}
	lines = append(lines, map[string]any{
		"count": len(found.Chosen), "groups": len(groups), "seen": found.Seen, "hidden": found.hidden, "more": found.More,
	})
	return printLines(w, lines)
}

// printLines prints each value as one line of JSON.
func printLines(w io.Writer, lines []any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for _, line := range lines {
		if err := enc.Encode(line); err != nil {
			return failed(err, "")
		}
	}
	return nil
}

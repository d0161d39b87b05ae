package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"license-deactivator/internal/deactivation"
)

// confirmation is what a destructive command needs before it acts. The command shows a preview, and acts only with a
// comment and the count of the preview, typed on a terminal or given by --yes --expect N. It refuses a count that has
// changed since the preview.
type confirmation struct {
	yes     bool
	expect  int
	comment string
}

// addFlags adds --yes, --expect and --comment. counted is what the preview counts, in the plural.
func (c *confirmation) addFlags(cmd *cobra.Command, counted string) {
	cmd.Flags().BoolVar(&c.yes, "yes", false, "act without asking; needs --expect and --comment")
	cmd.Flags().IntVar(&c.expect, "expect", 0, "how many "+counted+" the preview counted; with another count nothing is done")
	cmd.Flags().StringVar(&c.comment, "comment", "", "the reason, for readers of the log; without it there is only a preview")
}

// check refuses flags that cannot be combined.
func (c *confirmation) check(cmd *cobra.Command) error {
	c.comment = strings.TrimSpace(c.comment)
	expects := cmd.Flags().Changed("expect")
	switch {
	case c.yes && !expects:
		return misused("run the command without --yes first: its preview says the count", "--yes needs --expect N")
	case expects && !c.yes:
		return misused("add --yes to act without a terminal", "--expect N goes with --yes")
	case c.yes && c.comment == "":
		return misused(`say why, such as --comment "ticket 4711"`, "--yes needs --comment TEXT")
	}
	if err := deactivation.CheckText("comment", c.comment); err != nil {
		return misused("give one short line", "--comment: %v", err)
	}
	return nil
}

// allow decides after the preview, which found count things. do describes the act, such as "submit 3 request files".
// False without an error means that only the preview was wanted; the next step was printed to stderr. An error has the
// exit code exitHeld: nothing was done.
func (c *confirmation) allow(cmd *cobra.Command, count int, do string) (bool, error) {
	switch {
	case c.yes && c.expect != count:
		return false, held("look at the preview again, without --yes", "the preview counts %d, not %d: nothing was done", count, c.expect)
	case count == 0:
		return false, nil
	case c.yes:
		return true, nil
	case c.comment != "" && isTerminal(cmd.InOrStdin()):
		return c.ask(cmd, count, do)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "This is a preview; nothing was done. To %s add: --comment TEXT --yes --expect %d\n", do, count)
	return false, nil
}

// ask lets a person type the count.
func (c *confirmation) ask(cmd *cobra.Command, count int, do string) (bool, error) {
	fmt.Fprintf(cmd.ErrOrStderr(), "Type %d to %s: ", count, do)
	typed := make(chan string, 1)
	go func() { // Ctrl-C does not end a read
		line, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n') // what was typed before an error counts
		typed <- line
	}()
	var line string
	select {
	case <-cmd.Context().Done():
		return false, failed(cmd.Context().Err(), "")
	case line = <-typed:
	}
	switch strings.TrimSpace(line) {
	case "":
		return false, held("", "no count was typed: nothing was done")
	case strconv.Itoa(count):
		return true, nil
	}
	return false, held("", "that is not %d: nothing was done", count)
}

// isTerminal reports whether the input is typed at a terminal. A test passes a reader with IsTerminal.
func isTerminal(in io.Reader) bool {
	switch in := in.(type) {
	case *os.File:
		return term.IsTerminal(int(in.Fd()))
	case interface{ IsTerminal() bool }:
		return in.IsTerminal()
	}
	return false
}

// Command licensectl is the license deactivator for people: it runs the whole system on a laptop, sends samples as the
// stores would, and looks after the deployed one.
//
// Exit codes: 0 done, 1 it went wrong or did not end as expected, 2 the command was not understood.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	os.Exit(runUntilSignal())
}

// runUntilSignal lets Ctrl-C and SIGTERM end a command in order.
func runUntilSignal() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// clock is what a test runs faster than a person could watch.
type clock struct {
	firstRetry time.Duration // of local's worker; 0: local's own, one second
}

// run is the whole command; tests call it with buffers.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return clock{}.run(ctx, args, stdin, stdout, stderr)
}

func (c clock) run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(c)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "licensectl: error: %v\n", err)
	var failed *failure
	if !errors.As(err, &failed) {
		fmt.Fprintf(stderr, "licensectl: hint: see %s --help\n", commandOf(root, args))
		return exitUsage
	}
	if failed.hint != "" {
		fmt.Fprintf(stderr, "licensectl: hint: %s\n", failed.hint)
	}
	return failed.code
}

// commandOf is the command that the arguments name, as far as they do.
func commandOf(root *cobra.Command, args []string) string {
	if found, _, err := root.Find(args); err == nil {
		return found.CommandPath()
	}
	return root.CommandPath()
}

// failure is an error of a command that was understood. Anything else that cobra returns is a misuse of it.
type failure struct {
	err  error
	hint string // what to do; "" where the error says it
	code int
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// failed says that the command went wrong.
func failed(err error, hint string) error { return &failure{err, hint, exitFailed} }

// misused says that the command cannot be understood, for what cobra does not check.
func misused(hint, format string, args ...any) error {
	return &failure{fmt.Errorf(format, args...), hint, exitUsage}
}

func newRoot(c clock) *cobra.Command {
	root := &cobra.Command{
		Use:   "licensectl",
		Short: "Deactivate licenses when stores refund, from your own terminal",
		Long: `licensectl runs the license deactivator on a laptop, without AWS, and sends it what stores send.

Begin with:  licensectl local`,
		Example: `  licensectl local                      # the whole system, with samples of every store
  licensectl local --once --fail flaky  # the same with an API that misbehaves, then end
  licensectl send --source stripe --case full-refund
  licensectl explain shopify/line-refund   # what would become of an event, and why`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	f := &files{}
	root.PersistentFlags().StringVar(&f.dir, "sources", "", "folder of senders' files to use instead of the built-in ones")
	root.AddCommand(newLocal(f.load, c), newSend(f), newExplain(f), newSources(f), newFakeAPI())
	return root
}

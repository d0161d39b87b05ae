// Command licensectl is the license deactivator for people: it runs the whole system on a laptop, sends samples as the
// stores do, and explains what happens to an event.
//
// Exit codes: 0 done, 1 failed or not as expected, 2 the command is not valid, 3 done in part, 4 held before anything was
// done (a count that does not match).
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitPartly = 3
	exitHeld   = 4
)

func main() {
	os.Exit(runUntilSignal())
}

// runUntilSignal ends the command in order at the first Ctrl-C or SIGTERM. A second one kills the process.
func runUntilSignal() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// run is the whole command; tests call it with buffers.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return clock{}.run(ctx, args, stdin, stdout, stderr)
}

// clock holds the times that tests shorten. A zero field is the normal time.
type clock struct {
	// Of licensectl local.

	firstRetry time.Duration // of the worker; 0: one second
	progress   time.Duration // between two lines of progress; 0: one second

	letterPoll time.Duration // of licensectl dlq: deadletter.Options.Poll
}

func (c clock) run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &checkedWriter{to: stdout}
	root := newRoot(c)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	err = cmp.Or(out.failed(), err) // a write error comes first: other errors may follow from it
	if err == nil {
		return exitDone
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "licensectl: error: interrupted")
		if next, ok := errors.AsType[*failure](err); ok && next.hint != "" {
			fmt.Fprintf(stderr, "licensectl: hint: %s\n", next.hint)
		}
		return exitFailed
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

// commandOf returns the command that the arguments name, as far as they are valid.
func commandOf(root *cobra.Command, args []string) string {
	if found, _, err := root.Find(args); err == nil {
		return found.CommandPath()
	}
	return root.CommandPath()
}

// failure is an error of a valid command. Any other error that cobra returns is a usage error.
type failure struct {
	err  error
	hint string // what to do; "" if the error says it
	code int
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Hint says what to do, for the console.
func (f *failure) Hint() string { return f.hint }

// failed returns the error of a command that failed.
func failed(err error, hint string) error { return &failure{err, hint, exitFailed} }

// partly returns the error of a command that did only a part of its work.
func partly(hint, format string, args ...any) error {
	return &failure{fmt.Errorf(format, args...), hint, exitPartly}
}

// held returns the error of a command that did nothing, because a check did not pass.
func held(hint, format string, args ...any) error {
	return &failure{fmt.Errorf(format, args...), hint, exitHeld}
}

// misused returns a usage error that cobra does not find.
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
  licensectl explain shopify/line-refund   # what happens to an event, and why`,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	f := &files{}
	root.PersistentFlags().StringVar(&f.dir, "sources", "", "folder of senders' files to use instead of the built-in ones")
	root.AddCommand(
		newLocal(f.load, c), newSend(f), newExplain(f), newSources(f),
		newResolve(f.load, c),
		newRestore(f.load),
		newDeactivate(f.load),
		newReconcile(f.load, c),
		newDLQ(f, c),
		newWhy(c),
		newConsole(f, c),
		newOffline(),
		newDoctor(f.load),
		newFakeAPI(),
	)
	return root
}

// version returns the module's version or commit, as far as the build recorded them, and Go's version.
func version() string {
	built, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown, " + runtime.Version()
	}
	text := cmp.Or(built.Main.Version, "(devel)")
	for _, s := range built.Settings {
		if s.Key == "vcs.revision" && built.Main.Version == "(devel)" {
			text += " " + s.Value
		}
	}
	return text + ", " + built.GoVersion
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/bulk"
	"license-deactivator/internal/source"
)

const (
	defaultMaxRows    = 1000
	defaultStopAbove  = 20 // per cent
	defaultCanaryWait = 5 * time.Minute
)

// deactivateOptions are the flags of deactivate, and what is opened by them.
type deactivateOptions struct {
	confirmation
	target target
	direct bulkDirect
	pace   paceFlags

	columnFlags
	max        int
	journal    string
	stopAbove  float64
	canaryWait time.Duration
	noCanary   bool
	toAPI      bool // --direct
	wait       bool
	asJSON     bool

	at       *place // nil with --direct
	actor    string
	history  *runHistory // nil with --direct, and where the log is not known
	progress *bulkProgress
	memory   previewMemory
}

func newDeactivate(load func() (*source.Sources, error)) *cobra.Command {
	o := deactivateOptions{direct: bulkDirect{sources: load}}
	cmd := &cobra.Command{
		Use:   "deactivate FILE",
		Short: "Deactivate the licenses of a file, with a preview before",
		Long: `deactivate reads a file of rows, shows what would happen, and with a comment and the right count sends the rows to the webhook
function, which enqueues them for the worker.

FILE is CSV with a header, or NDJSON (one JSON object on each line); "-" is stdin. It may be gzip. Columns are found by
name: product, license_key, hardware_id, order, cause and the other fields of a direct invocation, also as "License Key", "sku",
"device" and the like. --map COLUMN=FIELD names another one, --map COLUMN= ignores it, --set FIELD=VALUE gives every row a value.
Columns that no field takes are ignored and listed. The body of a dead letter is a row, too.

The preview reads the whole file and asks the target about each row by a dry run. Beside FILE it writes FILE.journal, and
the rejected rows with their line and reason as FILE.rejected.csv. N, the count that --expect wants, is the number of
distinct valid rows of the file, also when a run is resumed. A file that changed since its preview is refused.

The first ten rows are a canary: more is sent only when their outcomes are known, and nothing if all of them are rejected. The run
stops if more than 20 % of the first fifty are rejected. To resume a run that was stopped or killed, give the same command again.

--direct calls the License API from this machine, without AWS: 1 call a second unless --calls-per-second says otherwise.

Exit codes: 0 all well, 1 failed, 2 usage, 3 some rows were rejected or not sent, 4 held by --max, a wrong count, a file
that changed, or the outcomes of the first rows.`,
		Example: `  licensectl deactivate refunds.csv --stack license-deactivator
  licensectl deactivate refunds.csv --endpoint-url http://127.0.0.1:8080 --comment "ticket 4711" --yes --expect 50 --wait
  licensectl deactivate refunds.csv --function my-webhook --map Artikel=product --set cause=refund
  licensectl deactivate - --journal refunds.journal --stack license-deactivator < refunds.ndjson
  licensectl deactivate refunds.csv --direct --secrets secrets.json --comment "ticket 4711" --yes --expect 50`,
		Args: takes(cobra.ExactArgs(1), "one FILE", "give a file of rows with a header, such as refunds.csv, or - for stdin"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	o.confirmation.addFlags(cmd, "valid rows")
	o.target.addFlags(cmd, webhookFunctionName)
	o.direct.addFlags(cmd)
	o.pace.addFlags(cmd)
	o.columnFlags.addFlags(cmd)
	f := cmd.Flags()
	f.IntVar(&o.max, "max", defaultMaxRows, "do nothing if the file has more valid rows")
	f.StringVar(&o.journal, "journal", "", `the journal's file (default: FILE.journal); "-" needs it`)
	f.BoolVar(&o.toAPI, "direct", false, "call the License API from this machine, with the keys of --secrets")
	f.BoolVar(&o.wait, "wait", false, "follow the outcomes to the last one and sum them up")
	f.Float64Var(&o.stopAbove, "stop-above", defaultStopAbove, "stop if more than this percentage of the first 50 rows is rejected, or all of the first 10; 100 never stops")
	f.DurationVar(&o.canaryWait, "canary-wait", defaultCanaryWait, "how long the outcomes of the first rows may take")
	f.BoolVar(&o.noCanary, "no-canary", false, "send without a look at the outcomes of the first rows")
	f.BoolVar(&o.asJSON, "json", false, "print events, one JSON object on each line; the last one has the count")
	return cmd
}

func (o *deactivateOptions) check(cmd *cobra.Command, file string) error {
	if err := o.confirmation.check(cmd); err != nil {
		return err
	}
	switch {
	case o.max < 1:
		return misused("give a number of rows", "--max %d is out of range", o.max)
	case !(o.stopAbove >= 0 && o.stopAbove <= 100):
		return misused("give 0 to 100; 100 never stops", "--stop-above %v is no percentage", o.stopAbove)
	case o.canaryWait <= 0:
		return misused("give a duration such as 5m", "--canary-wait %v is out of range", o.canaryWait)
	case !o.toAPI && o.target.given() && o.target.stack == "" && !o.target.isLocal() && (o.wait || !o.noCanary && (o.yes || o.comment != "")):
		return misused("name the stack with --stack, or send without a look at the outcomes: --no-canary without --wait",
			"the outcomes are in the functions' logs, which are known only from a stack")
	case file == "-" && o.journal == "":
		return misused("name one that later commands of the run name, too, such as --journal refunds.journal", `"-" needs --journal FILE`)
	case file == "-" && !o.yes && o.comment != "" && isTerminal(cmd.InOrStdin()):
		return misused("give --yes --expect N", "the count cannot be typed while the rows are read from stdin")
	}
	if err := o.pace.check(); err != nil {
		return err
	}
	if !o.toAPI {
		for _, name := range []string{"secrets", "license-api"} {
			if cmd.Flags().Changed(name) {
				return misused("add --direct, or leave it out", "--%s goes with --direct", name)
			}
		}
		return o.target.check(webhookFunctionName)
	}
	if o.target.given() {
		return misused("leave one of them out", "--direct and a function exclude each other")
	}
	return o.direct.check()
}

func (o *deactivateOptions) run(cmd *cobra.Command, file string) error {
	if err := o.check(cmd, file); err != nil {
		return err
	}
	columns, err := o.columns()
	if err != nil {
		return err
	}
	o.progress = newBulkProgress(cmd.OutOrStdout(), cmd.ErrOrStderr(), o.asJSON)
	defer o.progress.end()

	job := bulk.Job{Path: file, Name: filepath.Base(file), Columns: columns, Progress: o.memory.watch(o.progress.show)}
	job.Journal = cmp.Or(o.journal, file+".journal")
	job.Rejected = file + ".rejected.csv"
	closeTarget, err := o.openTarget(cmd, &job)
	if err != nil {
		return err
	}
	defer closeTarget()
	if file == "-" {
		remove, err := spool(cmd.InOrStdin(), &job)
		if err != nil {
			return err
		}
		defer remove()
	}
	r, err := job.Open(o.actor, o.acts(cmd))
	if err == nil && file == "-" {
		err = keepSpool(&job, r)
	}
	if err != nil {
		return o.failed(err, job, nil)
	}
	if r.Plan == nil || !o.acts(cmd) && !r.Begun() { // a preview is made anew: the target may answer otherwise
		if err := o.memory.preview(cmd.Context(), r); err != nil {
			return o.failed(err, job, nil)
		}
	}
	o.progress.end()
	if !o.toAPI {
		o.history = newRunHistory(o.at, r.Plan.Header.At)
	}
	o.pace.read(cmd.Context(), o)
	o.printPreview(cmd, r, job)
	if o.at != nil && o.at.watches() {
		fmt.Fprintf(cmd.ErrOrStderr(), "licensectl: warning: the stack %s is in watch mode: it deactivates nothing, and each row becomes a dead letter\n", o.at.stack)
	}
	return o.decide(cmd, r, job)
}

// acts reports whether the flags ask for more than a preview.
func (o *deactivateOptions) acts(cmd *cobra.Command) bool {
	return o.yes || o.comment != "" && isTerminal(cmd.InOrStdin())
}

// openTarget opens the webhook function, or the system in this process that --direct is, and learns who acts.
func (o *deactivateOptions) openTarget(cmd *cobra.Command, job *bulk.Job) (closeTarget func(), err error) {
	if o.toAPI {
		o.actor = systemUser()
		return o.direct.open(cmd.Context(), o, cmd.ErrOrStderr(), job)
	}
	if o.at, err = o.target.open(cmd.Context(), webhookFunctionName); err != nil {
		return nil, err
	}
	o.actor = o.at.actor(cmd.Context())
	job.Target, job.TargetName = functionTarget{o.at.webhookFunction()}, o.targetName()
	return func() {}, nil
}

// targetName describes the target in the journal. A function of the same name in another region or account is another.
func (o *deactivateOptions) targetName() string {
	if o.at.isLocal() {
		return o.at.String()
	}
	name := o.at.String() + ", " + o.at.config.Region
	if parts := strings.Split(o.actor, ":"); len(parts) > 4 && parts[0] == "arn" {
		name += ", account " + parts[4]
	}
	return name
}

// failed turns an error of a run into one with an exit code and a hint. report is what was sent before; nil for nothing.
func (o *deactivateOptions) failed(err error, job bulk.Job, report *bulk.Report) error {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	text := errors.New(strings.TrimPrefix(err.Error(), "bulk: "))
	switch {
	case errors.Is(err, context.Canceled) && report == nil:
		return failed(err, "nothing was sent")
	case errors.Is(err, context.Canceled):
		return failed(err, "the same command sends the rest; ids are made from the content, so a row that is sent twice has one id")
	case errors.Is(err, bulk.ErrChanged):
		return &failure{fmt.Errorf("%s: %w; nothing more was sent", job.Name, text),
			"look at a preview first, without --comment and --yes; if a run has begun, restore the file, or move " + job.Journal + " away to begin another run", exitHeld}
	case errors.Is(err, bulk.ErrStopped):
		return &failure{fmt.Errorf("%w; nothing more was sent", text),
			"licensectl dlq list has the rejected rows. If the file and its columns are right, redrive them and give the same command again, or add --stop-above 100. " +
				"If not, purge them, move " + job.Journal + " away, and preview the corrected file or --map: it is another run", exitHeld}
	case errors.Is(err, bulk.ErrBusy):
		return held("wait until it ends", "%s: another licensectl works on this run: nothing was done", job.Journal)
	case errors.Is(err, bulk.ErrColumns):
		return misused("licensectl deactivate --help has examples of --map and --set", "%s", strings.TrimPrefix(text.Error(), "columns: "))
	case errors.Is(err, bulk.ErrJournal):
		return failed(fmt.Errorf("%s: %w", job.Journal, text), "move it away and begin again: ids are made from the content, so a row that is sent twice has one id")
	case errors.Is(err, bulk.ErrFile):
		return failed(fmt.Errorf("%s: %w", job.Name, text), "")
	case report != nil && report.Rows > 0:
		return &failure{text, "run the same command again to send the rest", exitPartly}
	}
	return failed(text, "run the same command again; ids are made from the content, so a row that is sent twice has one id")
}

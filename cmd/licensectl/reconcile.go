package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/bulk"
	"license-deactivator/internal/source"
)

// callsPerRow is what a look-up needs when an id finds one license: its list, and the list of its devices. Only the estimate of
// the time stands on it.
const callsPerRow = 2

// phaseCheck is the phase of progress: rows.
const phaseCheck = "check"

// reconcileOptions are the flags of reconcile, and what is opened by them.
type reconcileOptions struct {
	columnFlags
	target target
	spring springFlags

	out       string
	fromLine  int
	overwrite bool
	asJSON    bool

	firstRetry time.Duration // of a look-up that failed; 0: firstLookAgain
	progress   *bulkProgress
	headed     bool // the header of the rows is printed
}

func newReconcile(load func() (*source.Sources, error), c clock) *cobra.Command {
	o := reconcileOptions{spring: springFlags{sources: load}, firstRetry: c.firstRetry}
	cmd := &cobra.Command{
		Use:   "reconcile FILE",
		Short: "Say which refunds of a store's export have a license that still works",
		Long: `reconcile reads a store's export of refunds, looks the license of each row up in LicenseSpring, and says whether it can still be
used. It finds the refunds of which no webhook came. It only reads, by one call a second to the Management API.

FILE is what licensectl deactivate takes: CSV with a header or NDJSON, plain or gzip, with the same columns, --map and --set.
A row needs a license_key, or an order by whose id LicenseSpring knows the license. A product next to an order means one license
of that product, a device the one that it names.

  active      enabled, with active devices
  no_device   enabled, without an active device: it can be activated again
  disabled    nothing is left to do
  not_found   LicenseSpring has no license of that id
  review      which licenses are meant is not certain; the reason is below the row. Likewise where a column says that a part
              was refunded, where the key is of another order, and where an order is a number of up to nine digits, and
              the column email has another address than the license's customer
  rejected    the row cannot be read, or names no id; likewise

The active devices are written as FILE.active.csv (--out): the input's own columns, and product, license_key and hardware_id.
licensectl deactivate takes that file. A row is in it once it is printed. After Ctrl-C, or an outage that lasts, the last line says
from where to go on (--from-line).

Keys and addresses are those of --stack, or of --secrets with --management-api. A running licensectl local is
--endpoint-url http://` + defaultAddress + `.

Exit codes: 0 every row was checked, 1 failed, 2 usage, 3 some rows were rejected or not checked.`,
		Example: `  licensectl reconcile refunds.csv --stack license-deactivator
  licensectl reconcile refunds.csv --endpoint-url http://` + defaultAddress + ` --management-calls-per-minute 600
  licensectl reconcile refunds.csv --secrets secrets.json --map Artikel=product --json
  licensectl reconcile refunds.csv --stack license-deactivator --from-line 26`,
		Args: takes(cobra.ExactArgs(1), "one FILE", "give the store's export, such as export.csv"),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	o.target.addFlags(cmd)
	o.spring.addManagementFlags(cmd)
	o.columnFlags.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "the file of the active devices (default: FILE.active.csv)")
	f.IntVar(&o.fromLine, "from-line", 1, "go on from that line of FILE, and add to the file of the active devices")
	f.BoolVar(&o.overwrite, "overwrite", false, "replace the file of the active devices")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object for each row, and one with the counts at the end")
	return cmd
}

// check refuses flags that cannot be combined, and a file that would be replaced.
func (o *reconcileOptions) check(file string) error {
	for _, check := range []func() error{
		func() error { return o.target.check() },
		func() error { return o.spring.check(&o.target) },
	} {
		if err := check(); err != nil {
			return err
		}
	}
	switch {
	case file == "-":
		return misused("write the rows into a file first", "reconcile reads its rows twice, and cannot read stdin")
	case o.fromLine < 1:
		return misused("leave it out to begin with the first row", "--from-line %d is no line", o.fromLine)
	case o.fromLine > 1 && o.overwrite:
		return misused("leave one of them out", "--from-line adds to a file, and --overwrite replaces it")
	}
	out, err := os.Stat(o.out)
	if in, failed := os.Stat(file); err == nil && failed == nil && os.SameFile(in, out) {
		return misused("name another one with --out", "%s is FILE itself: nothing was done", o.out)
	}
	if err == nil && o.fromLine == 1 && !o.overwrite {
		return misused("move it away, name another one with --out, or add --overwrite", "%s exists: nothing was done", o.out)
	}
	return nil
}

func (o *reconcileOptions) run(cmd *cobra.Command, file string) error {
	if o.out == "" {
		o.out = file + ".active.csv"
	}
	if err := o.check(file); err != nil {
		return err
	}
	columns, err := o.columns()
	if err != nil {
		return err
	}
	overview, err := o.survey(file, columns)
	if err != nil {
		return err
	}
	keys, err := o.open(cmd.Context())
	if err != nil {
		return err
	}
	o.progress = newBulkProgress(cmd.OutOrStdout(), cmd.ErrOrStderr(), o.asJSON)
	defer o.progress.end()
	checker, err := newRowChecker(keys.management, overview.export, o.firstRetry)
	if err != nil {
		return failed(err, "")
	}
	if o.overwrite {
		if err := o.remove(cmd); err != nil {
			return err
		}
	}
	o.announce(cmd, overview)
	return o.checkRows(cmd, file, columns, overview.todo, checker)
}

// remove removes the file of an earlier command.
func (o *reconcileOptions) remove(cmd *cobra.Command) error {
	switch err := os.Remove(o.out); {
	case err == nil:
		fmt.Fprintf(cmd.ErrOrStderr(), "%s is replaced.\n", o.out)
	case !errors.Is(err, os.ErrNotExist):
		return failed(err, "")
	}
	return nil
}

// open finds the keys and the address of the Management API.
func (o *reconcileOptions) open(ctx context.Context) (*spring, error) {
	var at *place
	if o.target.given() {
		var needed []resource
		if o.target.stack != "" {
			needed = []resource{licenseAPISecretARN, workerFunctionName}
		}
		opened, err := o.target.open(ctx, needed...)
		if err != nil {
			return nil, err
		}
		at = opened
	}
	return o.spring.open(ctx, at)
}

// survey is what a file has, before a call is made.
type survey struct {
	todo    int // rows from --from-line on
	columns []bulk.Column
	ignored []string
	export  shopExport
}

// survey reads the whole file once, without a call: a file that cannot be read fails before anything was checked.
func (o *reconcileOptions) survey(file string, columns bulk.Columns) (s survey, err error) {
	rows, err := bulk.OpenRows(file, columns)
	if err != nil {
		return s, o.failed(err, file)
	}
	defer rows.Close()
	s.export.partial = map[string]bool{}
	for all := 0; ; all++ {
		row, err := rows.Next()
		switch {
		case errors.Is(err, io.EOF) && all == 0:
			return s, failed(fmt.Errorf("%s: it has a header and no rows", filepath.Base(file)), "")
		case errors.Is(err, io.EOF) && s.todo == 0:
			return s, misused("the file has fewer lines", "no row begins at --from-line %d or later", o.fromLine)
		case errors.Is(err, io.EOF):
			s.columns, s.ignored = rows.Columns()
			return s, nil
		case err != nil:
			return s, o.failed(err, file)
		}
		s.export.read(row)
		if row.Line >= o.fromLine {
			s.todo++
		}
	}
}

// checkRows checks one row after another and prints each.
func (o *reconcileOptions) checkRows(cmd *cobra.Command, file string, columns bulk.Columns, total int, checker *rowChecker) error {
	rows, err := bulk.OpenRows(file, columns)
	if err != nil {
		return o.failed(err, file)
	}
	defer rows.Close()
	active := rows.NewActiveFile(o.out)
	defer active.Close()

	sum := reconciled{states: map[string]int{}, rows: total}
	for {
		row, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return o.stop(cmd, sum, active, file, row.Line, o.failed(err, file))
		}
		if row.Line < o.fromLine {
			continue // read for its duplicates
		}
		checked, err := checker.check(cmd.Context(), row)
		for i := 0; err == nil && i < len(checked.found); i++ {
			if failure := active.Add(row, checked.found[i]); failure != nil {
				err = failed(errors.New(strings.TrimPrefix(failure.Error(), "bulk: ")), "")
			}
		}
		if err != nil {
			return o.stop(cmd, sum, active, file, row.Line, err)
		}
		sum.add(checked)
		o.printRow(cmd, checked)
		if !o.asJSON {
			o.progress.show(bulk.Progress{Phase: phaseCheck, Done: int64(sum.checked), Total: int64(total)})
		}
	}
	o.progress.end()
	o.printSum(cmd, sum, active, "")
	rejected := sum.states[stateRejected]
	return outcomeOf(sum.checked-rejected, sum.checked, "%s rejected", are(rejected, "row"))
}

// stop prints what was checked, and returns the error that ended the command at a line, with how to go on.
func (o *reconcileOptions) stop(cmd *cobra.Command, sum reconciled, active *bulk.ActiveFile, file string, line int, err error) error {
	o.progress.end()
	hint := ""
	if sum.checked > 0 && line > 0 {
		hint = fmt.Sprintf("the rows before line %d are checked; go on with the same flags: licensectl reconcile %s --from-line %d", line, shellWord(file), line)
	}
	o.printSum(cmd, sum, active, err.Error())
	text, code := err, exitPartly
	if f, ok := errors.AsType[*failure](err); ok {
		text = f.err
		hint = strings.Trim(f.hint+"; "+hint, "; ")
	}
	if sum.checked == 0 || errors.Is(err, context.Canceled) {
		code = exitFailed
	}
	return &failure{text, hint, code}
}

// next returns the flags with which deactivate reaches what reconcile has read. The License API beside a Management API of
// one's own is not known: ADDRESS is refused until a person replaces it, and without it the command would call LicenseSpring.
func (o *reconcileOptions) next() string {
	switch {
	case o.target.stack != "":
		return " --stack " + o.target.stack
	case o.target.isLocal():
		return " --endpoint-url " + o.target.endpoint
	case o.spring.secretsFile != "" && o.spring.managementAPI != "":
		return " --direct --secrets " + shellWord(o.spring.secretsFile) + " --license-api ADDRESS"
	case o.spring.secretsFile != "":
		return " --direct --secrets " + shellWord(o.spring.secretsFile)
	}
	return ""
}

// failed turns an error of the file into one with a hint.
func (o *reconcileOptions) failed(err error, file string) error {
	text := errors.New(strings.TrimPrefix(err.Error(), "bulk: "))
	if errors.Is(err, bulk.ErrColumns) {
		return misused("licensectl reconcile --help has examples of --map and --set", "%s", strings.TrimPrefix(text.Error(), "columns: "))
	}
	return failed(fmt.Errorf("%s: %w", filepath.Base(file), text), "")
}

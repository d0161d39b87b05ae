package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"license-deactivator/internal/deadletter"
)

type exportOptions struct {
	letterOptions
	output string
}

func newDLQExport(c clock) *cobra.Command {
	o := exportOptions{letterOptions: letterOptions{clock: c}}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write chosen dead letters as lines of JSON, and leave them where they are",
		Long: `export writes each chosen letter as "aws sqs receive-message" prints it, one a line, the oldest first: explain reads them.
Nothing is deleted. The count and the hash of the letters are printed to stderr.

The letters hold license keys and customers' data. --output FILE writes a file that only you can read, and never replaces
one: delete it when you have finished.`,
		Example: `  licensectl dlq export --output letters.ndjson --stack license-deactivator
  licensectl dlq export --id stripe.evt_3Nx --stack license-deactivator | licensectl explain -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.addFlags(cmd, 0)
	cmd.Flags().Lookup("json").Hidden = true // the letters are JSON anyway
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "a new file to write instead of stdout")
	return cmd
}

// exportedLetter is a letter as the AWS CLI prints a message.
type exportedLetter struct {
	MessageID         string                       `json:"MessageId"`
	Body              string                       `json:"Body"`
	Attributes        map[string]string            `json:"Attributes"`
	MessageAttributes map[string]exportedAttribute `json:"MessageAttributes,omitempty"`
}

type exportedAttribute struct{ StringValue, DataType string }

func (o *exportOptions) run(cmd *cobra.Command) error {
	filter, err := o.filter(time.Now())
	if err != nil {
		return err
	}
	found, err := o.open(cmd.Context(), filter, true)
	if err != nil {
		return err
	}
	defer found.Close()
	var moves []deadletter.Move
	var lines []any
	for _, l := range found.Chosen {
		line := exportedLetter{
			MessageID: l.MessageID, Body: l.Body,
			Attributes: map[string]string{"SentTimestamp": fmt.Sprint(l.SentAt.UnixMilli()), "ApproximateReceiveCount": fmt.Sprint(l.Receives)},
		}
		for name, text := range l.Attributes {
			if line.MessageAttributes == nil {
				line.MessageAttributes = map[string]exportedAttribute{}
			}
			line.MessageAttributes[name] = exportedAttribute{text, "String"}
		}
		lines = append(lines, line)
		moves = append(moves, deadletter.Move{Letter: l})
	}
	if err := o.write(cmd.OutOrStdout(), lines); err != nil {
		return err
	}
	to := ""
	if o.output != "" {
		to = " to " + o.output
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s exported%s, hash %s.\n", count(len(lines), "letter"), to, deadletter.Hash("export", moves))
	for _, note := range found.notes() {
		fmt.Fprintln(cmd.ErrOrStderr(), note)
	}
	return nil
}

// write writes the lines to stdout, or to a new file.
func (o *exportOptions) write(stdout io.Writer, lines []any) error {
	if o.output == "" {
		return printLines(stdout, lines)
	}
	f, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return failed(fmt.Errorf("%s is there already", o.output), "give another name, or delete the file")
	}
	if err != nil {
		return failed(err, "")
	}
	err = printLines(f, lines)
	if closing := f.Close(); err == nil && closing != nil {
		err = failed(closing, "is the disk full?")
	}
	return err
}

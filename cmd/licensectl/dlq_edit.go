package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadletter"
	"license-deactivator/internal/source"
)

// assignment is a --set field=value.
type assignment struct {
	field deadletter.Field
	value string
}

// readSets reads --set. An error never quotes a value.
func readSets(texts []string) ([]assignment, error) {
	var all []assignment
	for _, text := range texts {
		name, value, ok := strings.Cut(text, "=")
		if !ok || strings.TrimSpace(value) == "" {
			return nil, misused("give it as field=value, such as product=XY", "a --set has no field and value")
		}
		if !deadletter.IsField(name) {
			return nil, misused("the fields are "+fieldNames(), "--set %q is not a field of a request", visible(name))
		}
		all = append(all, assignment{deadletter.Field(name), value})
	}
	return all, nil
}

func fieldNames() string {
	var names []string
	for _, f := range deadletter.Fields() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

// complete turns events into the requests that a person completes, by --set and in an editor.
func (o *redriveOptions) complete(cmd *cobra.Command, events []*deadletter.Step, sources *source.Sources, set []assignment) error {
	if len(events) == 0 {
		return nil
	}
	if i := slices.IndexFunc(set, func(a assignment) bool { return a.field.Names() }); i >= 0 && len(events) > 1 {
		return misused("choose one with --id", "--set %s names one license, and %s chosen", set[i].field, is(len(events), "event"))
	}
	return deadletter.Complete(events, sources, func(drafts []source.Draft) ([]deactivation.Request, error) {
		for _, a := range set {
			lacking := slices.DeleteFunc(slices.Clone(drafts), func(d source.Draft) bool { return a.field.Get(&d.Request) != "" })
			if a.field.Names() && len(lacking) > 1 {
				return nil, misused("complete each of them with --edit", "--set %s names one license, and the event makes %s without it", a.field, count(len(lacking), "request"))
			}
		}
		for i := range drafts {
			for _, a := range set {
				if err := a.field.Complete(&drafts[i].Request, a.value); err != nil {
					return nil, failed(fmt.Errorf("%s: %w", drafts[i].ID, err), "")
				}
			}
		}
		requests, err := o.edited(cmd, drafts)
		if err != nil {
			return nil, err
		}
		for _, r := range requests {
			if err := deadletter.CheckComplete(r, o.lookUp); err != nil {
				return nil, failed(err, "complete the field with --set, or all of them with --edit; nothing was done")
			}
		}
		return requests, nil
	})
}

func is(n int, of string) string {
	if n == 1 {
		return "1 " + of + " is"
	}
	return fmt.Sprintf("%d %ss are", n, of)
}

// edited returns the requests: without --edit as they are.
func (o *redriveOptions) edited(cmd *cobra.Command, drafts []source.Draft) ([]deactivation.Request, error) {
	requests := make([]deactivation.Request, len(drafts))
	for i, d := range drafts {
		requests[i] = d.Request
	}
	if !o.edit || len(drafts) == 0 {
		return requests, nil
	}
	text, err := editText(cmd, editDocuments(drafts))
	if err != nil {
		return nil, err
	}
	return readDocuments(text, requests)
}

// editDocuments are the drafts as YAML for an editor, one document for each request.
func editDocuments(drafts []source.Draft) []byte {
	var out bytes.Buffer
	out.WriteString("# Complete the requests, save, and close the editor. A request that you delete is not sent.\n# Leave the ids as they are.\n")
	for _, d := range drafts {
		out.WriteString("---\n")
		for _, line := range []string{about("It lacks", d.Missing), about("Problem:", []string{d.Problem}), about("Order", d.Order)} {
			if line != "" {
				fmt.Fprintf(&out, "# %s\n", deactivation.CleanText(line))
			}
		}
		fmt.Fprintf(&out, "id: %s\n", quoted(d.ID))
		for i, field := range deadletter.Fields() {
			const always = 4 // cause, product, license_key, hardware_id
			if value := field.Get(&d.Request); value != "" || i < always {
				fmt.Fprintf(&out, "%s: %s\n", field, quoted(value))
			}
		}
	}
	return out.Bytes()
}

func about(what string, values []string) string {
	text := strings.Join(values, ", ")
	if text == "" {
		return ""
	}
	return what + " " + text
}

// quoted is a text as YAML, so that no editor's user has to know when quotes are needed.
func quoted(text string) string {
	out, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Tag: "!!str", Value: text})
	if err != nil {
		return `""` // a text that YAML cannot hold is typed again
	}
	return strings.TrimSpace(string(out))
}

// readDocuments reads the edited requests. Every error says where, and quotes no value.
func readDocuments(text []byte, requests []deactivation.Request) ([]deactivation.Request, error) {
	const hint = "nothing was done; run the command again and leave names and ids as they are"
	byID := map[string]deactivation.Request{}
	for _, r := range requests {
		byID[r.ID] = r
	}
	var edited []deactivation.Request
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document map[string]yaml.Node
		err := dec.Decode(&document)
		if errors.Is(err, io.EOF) {
			return edited, nil
		}
		if err != nil {
			return nil, failed(errors.New("the edited requests are not YAML"), hint)
		}
		if len(document) == 0 {
			continue
		}
		id := document["id"].Value
		r, ok := byID[id]
		if !ok {
			return nil, failed(fmt.Errorf("line %d: the id is unknown, or appears twice", document["id"].Line), hint)
		}
		delete(byID, id)
		delete(document, "id")
		for _, field := range deadletter.Fields() { // a field that is deleted is empty
			_ = field.Set(&r, "")
		}
		for name, value := range document {
			if value.Kind != yaml.ScalarNode || !deadletter.IsField(name) {
				return nil, failed(fmt.Errorf("line %d: %s is not a field with one value; the fields are %s", value.Line, visible(name), fieldNames()), hint)
			}
			_ = deadletter.Field(name).Set(&r, value.Value) // IsField was checked
		}
		edited = append(edited, r)
	}
}

// editText opens a text in the user's editor and returns what it became. The file is readable by the user alone and is
// deleted afterwards: it holds license keys.
func editText(cmd *cobra.Command, text []byte) ([]byte, error) {
	editor := strings.Fields(cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR")))
	if len(editor) == 0 {
		if !isTerminal(cmd.InOrStdin()) {
			return nil, misused("set EDITOR, or complete the fields with --set", "--edit needs a terminal")
		}
		editor = []string{"vi"}
	}
	dir, err := os.MkdirTemp("", "licensectl-")
	if err != nil {
		return nil, failed(err, "")
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a folder that the system deletes later
	name := filepath.Join(dir, "requests.yaml")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		return nil, failed(err, "")
	}
	run := exec.CommandContext(cmd.Context(), editor[0], append(editor[1:], name)...) //nolint:gosec // the user's own editor
	run.Stdin, run.Stdout, run.Stderr = cmd.InOrStdin(), cmd.ErrOrStderr(), cmd.ErrOrStderr()
	if err := run.Run(); err != nil {
		return nil, failed(fmt.Errorf("the editor %s: %w: nothing was done", editor[0], err), "choose an editor with EDITOR")
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, failed(err, "")
	}
	return content, nil
}

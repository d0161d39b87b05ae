package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"license-deactivator/events"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/source"
	"license-deactivator/sources"
)

// files are the senders' files that a command uses, and their samples.
type files struct {
	dir string // of --sources; "": the built-in ones
}

// load reads the senders' files.
func (f *files) load() (*source.Sources, error) {
	if err := f.checkFolder(); err != nil {
		return nil, err
	}
	loaded, err := source.Load(f.sources())
	if err != nil {
		return nil, failed(err, "correct the file at the named line; the schema is in docs/sources.md")
	}
	return loaded, nil
}

// checkFolder refuses a folder of sources that is none or that has no sender's file.
func (f *files) checkFolder() error {
	if f.dir == "" {
		return nil
	}
	const hint = "give a folder of senders' files, such as my-sources, one .yaml for each"
	switch folder, err := os.Stat(f.dir); {
	case err != nil:
		return failed(err, hint)
	case !folder.IsDir():
		return failed(fmt.Errorf("%s is not a folder", f.dir), hint)
	}
	if found, err := fs.Glob(os.DirFS(f.dir), "*.yaml"); err == nil && len(found) == 0 {
		return failed(fmt.Errorf("no sender's file (*.yaml) in %s", f.dir), hint)
	}
	return nil
}

func (f *files) sources() fs.FS {
	if f.dir != "" {
		return os.DirFS(f.dir)
	}
	return sources.FS()
}

// events returns the folder of samples: events/ next to the folder of --sources if it exists, else the built-in one.
func (f *files) events() fs.FS {
	if f.dir != "" {
		beside := filepath.Join(filepath.Dir(filepath.Clean(f.dir)), "events")
		if file, err := os.Stat(beside); err == nil && file.IsDir() {
			return os.DirFS(beside)
		}
	}
	return events.FS()
}

// sample reads a file from the disk, or the sample of that name: "events/stripe/full-refund.json" and
// "stripe/full-refund" are the same one.
func (f *files) sample(name string) (sample.Sample, error) {
	if _, err := os.Stat(name); err != nil {
		of := strings.TrimPrefix(path.Clean(filepath.ToSlash(name)), "events/")
		if fs.ValidPath(of) {
			if sample, err := sample.Read(f.events(), of); err == nil {
				return sample, nil
			}
		}
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return sample.Sample{}, err
	}
	folder := filepath.Dir(absolute)
	read, err := sample.Read(os.DirFS(filepath.Dir(folder)), path.Join(filepath.Base(folder), filepath.Base(absolute)))
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist) // by the name that was typed
	}
	return read, err
}

// sampleNames returns the names of all samples with the typed beginning, for completion.
func (f *files) sampleNames(typed string) []string {
	samples, err := sample.ReadAll(f.events())
	if err != nil {
		return nil
	}
	var names []string
	for _, s := range samples {
		if strings.HasPrefix(s.Name(), typed) {
			names = append(names, s.Name()+"\t"+s.About)
		}
	}
	return names
}

// cases returns the names of a sender's samples.
func (f *files) cases(source string) []string {
	samples, err := sample.ReadAll(f.events())
	if err != nil {
		return nil
	}
	var names []string
	for _, s := range samples {
		if s.Source == source {
			names = append(names, s.Case)
		}
	}
	return names
}

// completeCases completes --case with the samples of the sender that --source names.
func (f *files) completeCases(cmd *cobra.Command, source *string) {
	_ = cmd.RegisterFlagCompletionFunc("case", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return f.cases(*source), cobra.ShellCompDirectiveNoFileComp
	})
}

// completeSources completes --source with the names of the senders.
func (f *files) completeSources(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("source", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		sources, err := f.load()
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return sources.Names(), cobra.ShellCompDirectiveNoFileComp
	})
}

package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
)

// maxFileBytes bounds a source's file; the largest of ours has 4 KiB.
const maxFileBytes = 64 << 10

// Sources are the senders that have a file, by name.
type Sources struct{ byName map[string]*Source }

// Load reads every *.yaml of a folder. A folder without one is an error. It returns the errors of all files; each
// begins with file and line.
func Load(fsys fs.FS) (*Sources, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("source: no sender's file (*.yaml) in the folder of sources")
	}
	sources := &Sources{byName: map[string]*Source{}}
	var problems []error
	for _, file := range files {
		source, err := loadFile(fsys, file)
		if err != nil {
			problems = append(problems, inFile(file, err)...)
			continue
		}
		sources.byName[source.Name] = source
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return sources, nil
}

// Get returns a source by its name, the last part of the address.
func (s *Sources) Get(name string) (*Source, bool) {
	source, ok := s.byName[name]
	return source, ok
}

// Names returns the names of all sources in alphabetical order.
func (s *Sources) Names() []string {
	names := make([]string, 0, len(s.byName))
	for name := range s.byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func loadFile(fsys fs.FS, file string) (*Source, error) {
	name := strings.TrimSuffix(file, ".yaml")
	if !deactivation.IsSourceName(name) {
		return nil, &lineError{1, "the file's name must be a source's name: lower-case letters, digits and hyphens, at most 32"}
	}
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxFileBytes {
		return nil, &lineError{1, fmt.Sprintf("the file is larger than %d bytes", maxFileBytes)}
	}
	document, err := readDocument(content)
	if err != nil {
		return nil, err
	}
	return readSource(name, document)
}

// inFile prefixes each error with the file's name.
func inFile(file string, err error) []error {
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return []error{fmt.Errorf("%s:%w", file, err)}
	}
	var all []error
	for _, one := range many.Unwrap() {
		all = append(all, inFile(file, one)...)
	}
	return all
}

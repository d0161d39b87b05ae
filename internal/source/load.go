package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"license-deactivator/internal/deactivation"
)

// maxFileBytes bounds a source's file; the largest of ours has 4 KiB.
const maxFileBytes = 64 << 10

// ErrUnknown means that no file has the source's name.
var ErrUnknown = errors.New("source: no sender's file of this name")

// Sources are the senders that have a file, by name. It is safe for concurrent use.
type Sources struct {
	byName map[string]func() (*Source, []error) // compiles the file at its first call
}

// Open lists the *.yaml files of a folder. A file is read and compiled once, when its source is first asked for. It is for
// a program that must start fast and uses few of the files; all others use Load. A folder without a file is an error.
func Open(fsys fs.FS) (*Sources, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("source: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("source: no sender's file (*.yaml) in the folder of sources")
	}
	sources := &Sources{byName: map[string]func() (*Source, []error){}}
	for _, file := range files {
		sources.byName[strings.TrimSuffix(file, ".yaml")] = sync.OnceValues(func() (*Source, []error) {
			source, err := loadFile(fsys, file)
			if err != nil {
				return nil, inFile(file, err)
			}
			return source, nil
		})
	}
	return sources, nil
}

// Load opens a folder and compiles every file. It returns the errors of all files; each begins with file and line.
func Load(fsys fs.FS) (*Sources, error) {
	sources, err := Open(fsys)
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, name := range sources.Names() {
		_, faults := sources.byName[name]()
		problems = append(problems, faults...)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return sources, nil
}

// Compile returns a source by its name, the last part of the address. The error is ErrUnknown, or all errors of its file.
func (s *Sources) Compile(name string) (*Source, error) {
	compile, ok := s.byName[name]
	if !ok {
		return nil, ErrUnknown
	}
	source, faults := compile()
	return source, errors.Join(faults...)
}

// Get is Compile for the sources of Load, whose files have no error.
func (s *Sources) Get(name string) (*Source, bool) {
	source, err := s.Compile(name)
	return source, err == nil
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

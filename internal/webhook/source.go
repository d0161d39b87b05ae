package webhook

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/signing"
)

// maxSourceBytes bounds a source's file; the largest of ours has 4 KiB.
const maxSourceBytes = 64 << 10

// Dialects of answer other than the plain one.
const (
	dialectFastSpring = "fastspring"
	dialectSalesforce = "salesforce"
)

// Sources are the senders that we have a file for, by name.
type Sources struct{ byName map[string]*Source }

// Source is a sender's file, compiled. It is read-only and safe for concurrent use.
type Source struct {
	Name       string
	schemes    []*signing.Scheme
	specs      []signing.Spec // of the schemes, as the file has them
	ping       *regexp.Regexp // nil: none
	require    condition      // empty: none
	xml        bool
	event      eventFields
	license    []place
	lines      *lines // nil: none
	lookup     lookup
	rules      []rule
	dialect    string
	enqueueFor time.Duration // 0: defaultEnqueueFor, and no dead letter when the queue is down
	headers    []string      // lower case: those that values and conditions read
}

type eventFields struct {
	records      *expression // nil: the body itself
	id, kind, at value
	test         condition
}

type lookup struct {
	order               value
	subscription, email value
}

type rule struct {
	name     string
	enabled  bool
	kinds    []string
	when     condition
	refunded bool // only lines refunded in full
	cause    string
	ignore   bool
	lookup   lookup
	line     int
}

// LoadSources reads every *.yaml of a folder. The errors, all of them, begin with file and line.
func LoadSources(fsys fs.FS) (*Sources, error) {
	files, err := fs.Glob(fsys, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if len(files) == 0 {
		return nil, errors.New("webhook: no sender's file (*.yaml) in the folder of sources")
	}
	sources := &Sources{byName: map[string]*Source{}}
	var faults []error
	for _, file := range files {
		source, err := loadSource(fsys, file)
		if err != nil {
			faults = append(faults, located(file, err)...)
			continue
		}
		sources.byName[source.Name] = source
	}
	if err := errors.Join(faults...); err != nil {
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

var sourceName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func loadSource(fsys fs.FS, file string) (*Source, error) {
	name := strings.TrimSuffix(file, ".yaml")
	if !sourceName.MatchString(name) {
		return nil, &fault{1, "the file's name is the source's: small letters, digits and hyphens, at most 32"}
	}
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(io.LimitReader(f, maxSourceBytes+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxSourceBytes {
		return nil, &fault{1, fmt.Sprintf("the file is larger than %d bytes", maxSourceBytes)}
	}
	document, err := readDocument(content)
	if err != nil {
		return nil, err
	}
	source := &Source{Name: name}
	if err := source.read(document); err != nil {
		return nil, err
	}
	return source, source.check(document)
}

// yamlLine finds the line in a message of the YAML library.
var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?(.*)$`)

// readDocument reads the one YAML document of a file. A second one would be rules that nothing obeys.
func readDocument(content []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	switch err := dec.Decode(&document); {
	case errors.Is(err, io.EOF) || (err == nil && len(document.Content) == 0):
		return nil, &fault{1, "the file is empty"}
	case err != nil:
		return nil, yamlFault(err)
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		return nil, &fault{second.Line, "a second YAML document (---) begins here; a file holds one"}
	case !errors.Is(err, io.EOF):
		return nil, yamlFault(err)
	}
	return document.Content[0], nil
}

func yamlFault(err error) error {
	found := yamlLine.FindStringSubmatch(err.Error())
	if found == nil {
		return &fault{1, err.Error()}
	}
	line, lineErr := strconv.Atoi(found[1])
	if lineErr != nil {
		line = 1
	}
	return &fault{line, "not YAML: " + found[2]}
}

// located puts the file's name in front of each fault.
func located(file string, err error) []error {
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return []error{fmt.Errorf("%s:%w", file, err)}
	}
	var all []error
	for _, one := range many.Unwrap() {
		all = append(all, located(file, one)...)
	}
	return all
}

func (s *Source) read(node *yaml.Node) error {
	var body string
	err := fields(node, "a source's file", map[string]func(*yaml.Node) error{
		"verify":      s.readVerify,
		"body":        oneOf(&body, "json", "xml"),
		"event":       s.readEvent,
		"license":     readPlaces(&s.license),
		"lines":       s.readLines,
		"lookup":      s.lookup.read,
		"rules":       s.readRules,
		"answer":      oneOf(&s.dialect, dialectFastSpring, dialectSalesforce),
		"enqueue_for": duration(&s.enqueueFor),
	})
	s.xml = body == "xml"
	return err
}

func (s *Source) readVerify(node *yaml.Node) error {
	return each(node, func(item *yaml.Node) error {
		var spec signing.Spec
		var unit string
		err := fields(item, "verify", map[string]func(*yaml.Node) error{
			"header": texts(&spec.Header), "query": text(&spec.Query), "form": text(&spec.Form),
			"separator": text(&spec.Separator), "timestamp": text(&spec.Timestamp), "unit": oneOf(&unit, "s", "ms"),
			"signed": text(&spec.Signed), "mac": oneOf(&spec.MAC, "hmac-sha256", "none"),
			"encoding": oneOf(&spec.Encoding, "hex", "base64"), "key": oneOf(&spec.Key, "text", "base64"),
			"key_prefix": text(&spec.KeyPrefix), "tolerance": duration(&spec.Tolerance),
			"ping": readPattern(&s.ping), "require": readCondition(&s.require),
		})
		if err != nil {
			return err
		}
		spec.Unit = time.Second
		if unit == "ms" {
			spec.Unit = time.Millisecond
		}
		scheme, err := signing.NewScheme(spec)
		if err != nil {
			return faultAt(item, "%s", err)
		}
		s.schemes, s.specs = append(s.schemes, scheme), append(s.specs, spec)
		return nil
	})
}

func (s *Source) readEvent(node *yaml.Node) error {
	return fields(node, "event", map[string]func(*yaml.Node) error{
		"records": readExpression(&s.event.records),
		"id":      readValue(&s.event.id),
		"type":    readValue(&s.event.kind),
		"time":    readValue(&s.event.at),
		"test":    readCondition(&s.event.test),
	})
}

func (l *lookup) read(node *yaml.Node) error {
	return fields(node, "lookup", map[string]func(*yaml.Node) error{
		"order": readValue(&l.order), "subscription": readValue(&l.subscription), "email": readValue(&l.email),
	})
}

func (s *Source) readRules(node *yaml.Node) error {
	if node.Kind != yaml.SequenceNode {
		return faultAt(node, "rules must be a list")
	}
	return each(node, func(item *yaml.Node) error {
		r := rule{enabled: true, line: item.Line}
		var lines string
		err := fields(item, "a rule", map[string]func(*yaml.Node) error{
			"name": text(&r.name), "enabled": boolean(&r.enabled), "type": texts(&r.kinds),
			"when": readCondition(&r.when), "lines": oneOf(&lines, "refunded"),
			"cause": oneOf(&r.cause, deactivation.Causes()...), "ignore": boolean(&r.ignore), "lookup": r.lookup.read,
		})
		r.refunded = lines != ""
		s.rules = append(s.rules, r)
		return err
	})
}

// check finds what is wrong with the file as a whole, after each part of it was read.
func (s *Source) check(node *yaml.Node) error {
	var faults []error
	add := func(line int, format string, args ...any) {
		faults = append(faults, &fault{line, fmt.Sprintf(format, args...)})
	}
	if len(s.schemes) == 0 {
		add(node.Line, "verify is missing: nothing may be believed that is not verified")
	}
	if len(s.rules) == 0 {
		add(node.Line, "rules is missing: no event would ever matter")
	}
	if len(s.license) == 0 && s.lines == nil {
		add(node.Line, "license is missing: no event could be mapped")
	}
	names := map[string]bool{}
	for i := range s.rules {
		r := &s.rules[i]
		switch {
		case r.name == "":
			add(r.line, "the rule has no name")
		case names[r.name]:
			add(r.line, "a second rule has the name %q", r.name)
		}
		names[r.name] = true
		if len(r.kinds) == 0 && len(r.when) == 0 {
			add(r.line, "rule %q has neither type nor when: it would take every event", r.name)
		}
		if r.ignore && r.cause != "" {
			add(r.line, "rule %q has a cause and ignores the event; only one can be", r.name)
		}
		if len(r.kinds) > 0 && len(s.event.kind) == 0 {
			add(r.line, "rule %q asks for a type, but event.type is missing", r.name)
		}
		if len(r.kinds) > 0 && s.event.kind.unsigned() {
			add(r.line, "rule %q asks for a type that comes from an unsigned header, which anybody could change", r.name)
		}
		if r.refunded && (s.lines == nil || len(s.lines.refunded) == 0) {
			add(r.line, "rule %q asks for lines refunded in full, but lines.refunded is missing", r.name)
		}
		if !r.ignore && r.cause == "" {
			r.cause = deactivation.CauseManual
		}
	}
	s.headers = s.readHeaders()
	return errors.Join(faults...)
}

// readHeaders lists the headers that the file reads beside the signature.
func (s *Source) readHeaders() []string {
	var names []string
	for _, v := range []value{s.event.id, s.event.kind, s.event.at, s.lookup.order, s.lookup.subscription, s.lookup.email} {
		for _, p := range v {
			names = append(names, p.header)
		}
	}
	conditions := []condition{s.event.test, s.require}
	for _, r := range s.rules {
		conditions = append(conditions, r.when)
	}
	for _, c := range conditions {
		for _, t := range c {
			names = append(names, t.header)
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
	return names
}

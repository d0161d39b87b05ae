package source

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/expression"
)

// This file is the schema of a source's file: all its keys, and the checks of a file as a whole. docs/sources.md
// describes the keys for authors of a file.

// readSource reads a file's document, then checks it as a whole.
func readSource(name string, document *yaml.Node) (*Source, error) {
	s := &Source{Name: name}
	var dialect string
	err := keys(document, "a source's file", map[string]reader{
		"verify":      readVerification(&s.verification),
		"body":        oneOf(&s.event.format, formatJSON, formatXML, formatForm),
		"event":       readEvent(&s.event),
		"license":     readFieldSources(&s.licenses.order),
		"lines":       readLines(&s.licenses.lines),
		"lookup":      readLookup(&s.lookup),
		"rules":       readRules(&s.rules),
		"answer":      oneOf(&dialect, string(FastSpring), string(Salesforce), string(TwoCheckout), string(AppSumo)),
		"enqueue_for": duration(&s.EnqueueFor),
	})
	if err != nil {
		return nil, err
	}
	s.Dialect = Dialect(dialect)
	s.verification.complete()
	s.headers = headersReadBy(s)
	return s, s.check(document.Line)
}

func readEvent(to *eventFields) reader {
	return func(node *yaml.Node) error {
		return keys(node, "event", map[string]reader{
			"records": readExpression(&to.records),
			"id":      readValue(&to.id),
			"type":    readValue(&to.kind),
			"time":    readValue(&to.at),
			"test":    withLine(&to.testLine, readCondition(&to.test)),
		})
	}
}

func readFieldSources(to *[]fieldSource) reader {
	return func(node *yaml.Node) error {
		if node.Kind != yaml.SequenceNode {
			return errorAt(node, "license must be a list of field sources")
		}
		for _, item := range node.Content {
			s, err := readFieldSource(item)
			if err != nil {
				return err
			}
			*to = append(*to, s)
		}
		return nil
	}
}

func readFieldSource(node *yaml.Node) (fieldSource, error) {
	var s fieldSource
	var by string
	var json *expression.Expression
	if node.Kind != yaml.MappingNode {
		err := readExpression(&s.objects)(node)
		return s, err
	}
	readers := map[string]reader{
		"pairs": readExpression(&s.pairs), "name": text(&s.name), "value": text(&s.value), "by": oneOf(&by, "buyer"),
		"json": readExpression(&json),
	}
	for _, field := range licenseFieldNames() {
		readers[field] = func(node *yaml.Node) error {
			if s.field != "" {
				return errorAt(node, "a field source reads one field; write a second one for %s", field)
			}
			s.field = field
			return readExpression(&s.objects)(node)
		}
	}
	if err := keys(node, "a place", readers); err != nil {
		return fieldSource{}, err
	}
	places := 0
	for _, is := range []bool{s.pairs != nil, s.field != "", json != nil} {
		if is {
			places++
		}
	}
	if json != nil {
		s.objects, s.json = json, true
	}
	switch {
	case places != 1:
		return fieldSource{}, errorAt(node, "a field source is an expression, pairs, or one field, or json")
	case s.name != "" && s.value == "":
		return fieldSource{}, errorAt(node, "value is missing: the key under which a pair holds its value")
	case s.pairs == nil && s.name+s.value != "":
		return fieldSource{}, errorAt(node, "name and value need pairs")
	}
	s.buyer = by != ""
	return s, nil
}

func readLines(to **lines) reader {
	return func(node *yaml.Node) error {
		l := &lines{}
		*to = l
		err := keys(node, "lines", map[string]reader{
			"each":     readExpression(&l.each),
			"join":     readJoin(&l.join),
			"license":  readFieldSources(&l.license),
			"refunded": withLine(&l.refundedLine, readCondition(&l.refunded)),
			"quantity": readExpression(&l.quantity),
		})
		if err == nil && (l.each == nil || len(l.license) == 0) {
			return errorAt(node, "lines needs each and license")
		}
		return err
	}
}

func readJoin(to **join) reader {
	return func(node *yaml.Node) error {
		j := &join{}
		readers := map[string]reader{"on": text(&j.on), "is": text(&j.is)}
		if node.Kind == yaml.MappingNode {
			for i := 0; i < len(node.Content); i += 2 {
				if name := node.Content[i].Value; name != "on" && name != "is" && j.name == "" {
					j.name = name
					readers[name] = readExpression(&j.parts)
				}
			}
		}
		if err := keys(node, "join", readers); err != nil {
			return err
		}
		if j.parts == nil || j.on == "" || j.is == "" {
			return errorAt(node, "join needs a name with an expression, on and is")
		}
		*to = j
		return nil
	}
}

func readLookup(to *lookup) reader {
	return func(node *yaml.Node) error {
		to.line = node.Line
		return keys(node, "lookup", map[string]reader{
			"order": readCandidates(&to.order), "subscription": readCandidates(&to.subscription), "email": readValue(&to.email),
			"when": withLine(&to.whenLine, readCondition(&to.when)), "none": oneOf(&to.none, deactivation.NoneIgnore),
		})
	}
}

// readCandidates reads one candidate or a list of them. An empty list means none: a rule can drop the file's.
func readCandidates(to *[]candidate) reader {
	return func(node *yaml.Node) error {
		*to = []candidate{}
		if node.Kind == yaml.SequenceNode && len(node.Content) == 0 {
			return nil
		}
		return each(node, func(item *yaml.Node) error {
			c, err := readCandidate(item)
			if err == nil {
				*to = append(*to, c)
			}
			return err
		})
	}
}

func readCandidate(node *yaml.Node) (candidate, error) {
	var c candidate
	if node.Kind != yaml.MappingNode {
		err := readExpression(&c.path)(node)
		return c, err
	}
	var id, weak, buyer *expression.Expression
	var header, signed string
	err := keys(node, "a candidate", map[string]reader{
		"id": readExpression(&id), "weak": readExpression(&weak), "buyer": readExpression(&buyer),
		"header": text(&header), "signed": text(&signed), "without": text(&c.without), "first": number(&c.first),
	})
	if err != nil {
		return candidate{}, err
	}
	places := 0
	for _, is := range []bool{id != nil, weak != nil, buyer != nil, header != "", signed != ""} {
		if is {
			places++
		}
	}
	if places != 1 {
		return candidate{}, errorAt(node, "a candidate is an expression, or one of id, weak, buyer, header and signed; without and first go with them")
	}
	c.path, c.weak, c.buyer = cmp.Or(id, weak, buyer), weak != nil, buyer != nil
	c.header, c.signed = strings.ToLower(header+signed), signed != ""
	return c, nil
}

func readRules(to *[]rule) reader {
	return func(node *yaml.Node) error {
		if node.Kind != yaml.SequenceNode {
			return errorAt(node, "rules must be a list")
		}
		return each(node, func(item *yaml.Node) error {
			r := rule{enabled: true, line: item.Line}
			var lines string
			err := keys(item, "a rule", map[string]reader{
				"name": text(&r.name), "enabled": boolean(&r.enabled), "type": texts(&r.types),
				"when": readCondition(&r.when), "lines": oneOf(&lines, "refunded"),
				"cause": oneOf(&r.cause, deactivation.Causes()...), "ignore": boolean(&r.ignore),
				"review": boolean(&r.review), "reversal": boolean(&r.reversal), "lookup": readLookup(&r.lookup),
				"disable": func(node *yaml.Node) error { r.disable = new(bool); return boolean(r.disable)(node) },
			})
			r.refunded = lines != ""
			*to = append(*to, r)
			return err
		})
	}
}

// check returns the problems of the file as a whole. A rule without cause, ignore, review and reversal gets the cause
// manual.
func (s *Source) check(line int) error {
	var problems []error
	add := func(line int, format string, args ...any) {
		problems = append(problems, &lineError{line, fmt.Sprintf(format, args...)})
	}
	if len(s.verification.schemes) == 0 {
		add(line, "verify is missing: no delivery could be verified")
	}
	for _, scheme := range s.verification.schemes {
		if problem := s.verification.schemeProblem(scheme); problem != "" {
			add(scheme.line, "%s", problem)
		}
	}
	s.checkCovers(add)
	if problem := s.verification.pingProblem(); problem != "" {
		add(s.verification.pingLine, "%s", problem)
	}
	if s.Dialect == TwoCheckout && (s.event.format != formatForm || slices.ContainsFunc(s.verification.schemes, func(s *scheme) bool { return s.PublicKey() })) {
		add(line, "answer: 2checkout is signed over a form, with the secret that verified it: it needs body: form and no public key")
	}
	if len(s.rules) == 0 {
		add(line, "rules is missing: no event would matter")
	}
	if len(s.licenses.order) == 0 && s.licenses.lines == nil && len(s.lookup.order) == 0 && len(s.lookup.subscription) == 0 {
		add(line, "license is missing, and lookup: no event could be mapped")
	}
	if header := s.unsignedIn(s.lookup.when); header != "" {
		add(s.lookup.whenLine, "lookup.when reads the header %s, which is not signed: anybody could change it", header)
	}
	if s.licenses.lines != nil {
		if header := s.unsignedIn(s.licenses.lines.refunded); header != "" {
			add(line, "lines.refunded reads the header %s, which is not signed: anybody could change it", header)
		}
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
		for _, problem := range s.checkRule(r) {
			add(r.line, "rule %q %s", r.name, problem)
		}
		if r.deactivates() && r.cause == "" {
			r.cause = deactivation.CauseManual
		}
	}
	return errors.Join(problems...)
}

// checkRule returns the problems of one rule.
func (s *Source) checkRule(r *rule) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if len(r.types) == 0 && len(r.when) == 0 {
		add("has neither type nor when: it would match every event")
	}
	if says := r.says(); len(says) > 1 {
		add("has %s; only one of cause, ignore, review and reversal is allowed", strings.Join(says, " and "))
	}
	if len(r.types) > 0 && len(s.event.kind) == 0 {
		add("has a type, but event.type is missing")
	}
	if len(r.types) > 0 && s.event.kind.unsigned() {
		add("has a type, which comes from an unsigned header that anybody could change")
	}
	if header := s.unsignedIn(r.when); header != "" && !r.ignore {
		add("reads the header %s, which is not signed: anybody could change it. It may only ignore an event", header)
	}
	if r.refunded && (s.licenses.lines == nil || len(s.licenses.lines.refunded) == 0) {
		add("is for lines refunded in full, but lines.refunded is missing")
	}
	if err := deactivation.CheckText("its name", r.name); err != nil {
		add("cannot be sent to the queue: %s", err)
	}
	if problem := r.alwaysWrong(); problem != "" {
		add("%s", problem)
	}
	if r.refunded && !r.deactivates() {
		add("is for lines refunded in full, which needs a cause")
	}
	if r.disable != nil && !r.deactivates() {
		add("has disable, but deactivates nothing; remove it, or give a cause")
	}
	if header := s.unsignedIn(r.lookup.when); header != "" {
		add("has a lookup.when that reads the header %s, which is not signed: anybody could change it", header)
	}
	return problems
}

// says lists the rule's effects on its events.
func (r *rule) says() (says []string) {
	for _, key := range []struct {
		name string
		is   bool
	}{{"cause", r.cause != ""}, {"ignore", r.ignore}, {"review", r.review}, {"reversal", r.reversal}} {
		if key.is {
			says = append(says, key.name)
		}
	}
	return says
}

// unsignedIn returns a header that the condition reads and that not every scheme of the file signs; "" where there is
// none.
func (s *Source) unsignedIn(c condition) string {
	for _, t := range c {
		unsigned := func(scheme *scheme) bool { return !scheme.Signs(t.header) }
		if t.path == nil && slices.ContainsFunc(s.verification.schemes, unsigned) {
			return t.header
		}
	}
	return ""
}

// headersReadBy lists the headers that the file reads in addition to the signature.
func headersReadBy(s *Source) []string {
	var names []string
	lookups := []lookup{s.lookup}
	conditions := []condition{s.event.test, s.verification.require}
	for _, r := range s.rules {
		lookups, conditions = append(lookups, r.lookup), append(conditions, r.when)
	}
	values := []value{s.event.id, s.event.kind, s.event.at}
	for _, l := range lookups {
		values, conditions = append(values, l.email), append(conditions, l.when)
		for _, c := range slices.Concat(l.order, l.subscription) {
			names = append(names, c.header)
		}
	}
	if s.licenses.lines != nil {
		conditions = append(conditions, s.licenses.lines.refunded)
	}
	for _, v := range values {
		for _, r := range v {
			names = append(names, r.header)
		}
	}
	for _, c := range conditions {
		for _, t := range c {
			names = append(names, t.header)
		}
	}
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

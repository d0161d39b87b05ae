package main

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.yaml.in/yaml/v3"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
	"license-deactivator/sources"
)

// The pages of docs/senders/ name rules, places, samples, fields, secrets, bodies and commands. The tests in this file
// compare each of them with the senders' files, so that a page cannot promise what a file no longer says.

// sourceFile is the part of a sender's file that its page repeats.
type sourceFile struct {
	License []any
	Lines   struct{ License []any }
	Rules   []struct {
		Name, Cause string
		Type        any // a text or a list
		Enabled     *bool
		Ignore      bool
		Review      bool
		Reversal    bool
	}
}

func TestEverySenderHasItsPage(t *testing.T) {
	t.Parallel()
	var pages []string
	for _, p := range senderPages(t) {
		pages = append(pages, strings.TrimSuffix(path.Base(p.file), ".md"))
	}
	// The senders that we ship. A user's own sender is one file in sources/ and needs no page.
	for _, name := range []string{
		"2checkout", "appsumo", "chargebee", "creem", "dodo", "fastspring", "generic", "gumroad", "hubspot", "lemonsqueezy", "maxio", "paddle", "paypal", "paypro", "polar",
		"recurly", "salesforce", "salesforce-flow", "sendowl", "shopify", "square", "standard", "stripe", "woocommerce", "zoho-payments",
	} {
		if !slices.Contains(pages, name) {
			t.Errorf("docs/senders/%s.md is missing: say what to switch on at the sender; begin with generic.md", name)
		}
	}
	for _, name := range pages {
		if !slices.Contains([]string{"README", "your-own", "sources"}, name) && !slices.Contains(sourceNames(t), name) {
			t.Errorf("docs/senders/%s.md has no sources/%s.yaml", name, name)
		}
	}
}

func TestPagesNameTheRulesOfTheirFile(t *testing.T) {
	t.Parallel()
	for name, p := range pagesOfSources(t) {
		file, tables := readSource(t, name), p.of("rule")
		if len(tables) != 1 {
			t.Errorf("%s: %d tables of rules, want one that begins with | rule |", name, len(tables))
			continue
		}
		rows := tables[0].rows
		for i, rule := range file.Rules {
			if i >= len(rows) || rows[i][0] != rule.Name {
				t.Errorf("%s: rule %d is %q in the file, and not on the page", name, i+1, rule.Name)
				break
			}
			effect := rows[i][2]
			off := rule.Enabled != nil && !*rule.Enabled
			switch {
			case off != strings.HasPrefix(effect, "off"):
				t.Errorf("%s: rule %q: off is %v in the file; the page says %q", name, rule.Name, off, effect)
			case rule.Ignore != strings.HasPrefix(effect, "ignored"):
				t.Errorf("%s: rule %q: ignore is %v in the file; the page says %q", name, rule.Name, rule.Ignore, effect)
			case rule.Review != strings.HasPrefix(effect, "for review"):
				t.Errorf("%s: rule %q: review is %v in the file; the page says %q", name, rule.Name, rule.Review, effect)
			case rule.Reversal != strings.HasPrefix(effect, "reversal"):
				t.Errorf("%s: rule %q: reversal is %v in the file; the page says %q", name, rule.Name, rule.Reversal, effect)
			case !rule.Ignore && !rule.Review && !rule.Reversal && !slices.Contains(code(effect), rule.Cause):
				t.Errorf("%s: rule %q: the cause is %q in the file; the page says %q", name, rule.Name, rule.Cause, effect)
			}
			for _, kind := range texts(rule.Type) {
				if !slices.Contains(code(rows[i][1]), kind) {
					t.Errorf("%s: rule %q is for %s in the file; the page says %q", name, rule.Name, kind, rows[i][1])
				}
			}
		}
		if len(rows) != len(file.Rules) {
			t.Errorf("%s: %d rules on the page, %d in the file", name, len(rows), len(file.Rules))
		}
	}
}

func TestPagesNameThePlacesOfTheirFile(t *testing.T) {
	t.Parallel()
	for name, p := range pagesOfSources(t) {
		file := readSource(t, name)
		var want, got []string
		for _, place := range append(file.License, file.Lines.License...) {
			want = append(want, expressions(place)...)
		}
		for _, table := range p.of("place") {
			for _, row := range table.rows {
				got = append(got, code(row[0])...)
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		want, got = slices.Compact(want), slices.Compact(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: places %q on the page, %q in the file", name, got, want)
		}
	}
}

// texts are those of a text or a list of texts.
func texts(from any) []string {
	switch v := from.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, texts(item)...)
		}
		return all
	}
	return nil
}

// picked finds the fields of "object.{product: cf_product, …}".
var picked = regexp.MustCompile(`(?s)^(.+)\.\{(.+)\}$`)

// expressions are those of a place: itself, the pairs, the alternatives of one field, or the fields that it picks.
func expressions(place any) []string {
	if fields, ok := place.(map[string]any); ok {
		if pairs, ok := fields["pairs"]; ok {
			return expressions(pairs)
		}
		var all []string
		for key, expression := range fields {
			if key == "by" {
				continue
			}
			all = append(all, strings.Split(expression.(string), " || ")...)
		}
		return all
	}
	match := picked.FindStringSubmatch(place.(string))
	if match == nil {
		return texts(place)
	}
	var all []string
	for _, field := range strings.Split(match[2], ",") {
		_, key, _ := strings.Cut(field, ":")
		all = append(all, match[1]+"."+strings.TrimSpace(key))
	}
	return all
}

var samplePath = regexp.MustCompile(`events/([a-z0-9-]+)/([a-z0-9-]+)\.(json|xml|form)`)

func TestPagesNameSamplesThatExistAndWhatBecomesOfThem(t *testing.T) {
	t.Parallel()
	for _, p := range senderPages(t) {
		if p.file == "senders/your-own.md" {
			continue // it describes how to make one
		}
		for _, match := range samplePath.FindAllString(p.text, -1) {
			if _, err := fs.Stat(events.FS(), strings.TrimPrefix(match, "events/")); err != nil {
				t.Errorf("%s: there is no %s", p.file, match)
			}
		}
		for _, table := range p.of("sample") {
			for _, row := range table.rows {
				sample, err := sample.Read(events.FS(), strings.TrimPrefix(samplePath.FindString(row[0]), "events/"))
				if err != nil || !strings.HasPrefix(row[1], string(sample.Answer)) {
					t.Errorf("%s: %s becomes %q on the page, %q in its file (%v)", p.file, row[0], row[1], sample.Answer, err)
				}
			}
		}
	}
}

func TestSecretsOfThePagesAreOfTheRightForm(t *testing.T) {
	t.Parallel()
	for name, p := range pagesOfSources(t) {
		texts := p.fenced("json secrets")
		if len(texts) != 1 {
			t.Errorf("%s: %d blocks of json secrets, want one", name, len(texts))
			continue
		}
		stored, err := secrets.ParseWebhooks(texts[0])
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		keys, err := stored.Keys(name)
		if err != nil || len(keys) == 0 {
			t.Errorf("%s: the secrets on the page hold %d for it (%v)", name, len(keys), err)
		}
		// The schemes take them: base64 where it must be.
		if err := sourceOf(t, builtIn(t), name).CheckKeys(keys); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBodiesOfThePagesAreAccepted(t *testing.T) {
	t.Parallel()
	for _, p := range senderPages(t) {
		loaded, name := builtIn(t), strings.TrimSuffix(path.Base(p.file), ".md")
		if own := p.fenced("yaml source"); name == "your-own" {
			var err error
			name = "kestrel"
			if loaded, err = source.Load(fstest.MapFS{name + ".yaml": {Data: []byte(own[0])}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, body := range p.fenced("json accepted") {
			d := signing.Delivery{
				Method: "POST", URL: "https://hooks.example.com/webhooks/" + name,
				Header: map[string]string{"webhook-id": "msg_1"}, Body: []byte(body),
			}
			s, now, key := sourceOf(t, loaded, name), time.Now(), "whsec_c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtMTIz"
			if err := s.Sign(&d, now, key); err != nil {
				t.Fatalf("%s: %v", p.file, err)
			}
			verified, err := s.Verify(d, now, []string{key})
			if err != nil {
				t.Fatalf("%s: %v", p.file, err)
			}
			mappings, err := s.Map(verified, source.Options{})
			if err != nil || len(mappings) != 1 || mappings[0].Answer != deactivation.Accepted {
				t.Errorf("%s: the body on the page becomes %+v (%v)", p.file, mappings, err)
			}
		}
	}
}

// TestCommandsOfThePagesAreUnderstood holds every line that begins with licensectl to its commands and flags.
func TestCommandsOfThePagesAreUnderstood(t *testing.T) {
	t.Parallel()
	found := 0
	for _, p := range senderPages(t) {
		for _, b := range p.blocks {
			for line := range strings.Lines(b.text) {
				line, _, _ = strings.Cut(line, "#")
				arguments, ok := strings.CutPrefix(strings.TrimSpace(line), "go run ./cmd/licensectl ")
				if !ok {
					continue
				}
				found++
				args := strings.Fields(arguments)
				cmd, rest, err := newRoot(clock{}).Find(args)
				if err == nil && cmd.HasParent() {
					err = cmd.ParseFlags(rest)
				}
				if err != nil || !cmd.Runnable() {
					t.Errorf("%s: licensectl %s: %v", p.file, arguments, err)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no page names a command")
	}
}

var fieldLike = regexp.MustCompile(`^(license|hardware|product|bundle|user)(_[a-z_]+|name)?$`)

// TestFieldsOfThePagesAreRead finds a field of license data that a page misspells.
func TestFieldsOfThePagesAreRead(t *testing.T) {
	t.Parallel()
	known := []string{"license_key", "hardware_id", "product", "product_code", "product_short_code", "username", "license_id", "bundle_code",
		"license",           // the key of a sender's file
		"license_not_found", // an answer of the License API
	}
	for _, p := range senderPages(t) {
		for _, span := range code(p.text) {
			if fieldLike.MatchString(span) && !slices.Contains(known, span) {
				t.Errorf("%s: no field %q is read", p.file, span)
			}
		}
	}
}

var link = regexp.MustCompile(`\]\(([^)]+)\)`)

func TestLinksOfThePagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, p := range allPages(t) {
		for _, match := range link.FindAllStringSubmatch(strings.ReplaceAll(p.text, "\n", " "), -1) {
			file, anchor, _ := strings.Cut(match[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			target := path.Join(path.Dir(p.file), file)
			if file == "" {
				target = p.file
			}
			if _, err := os.Stat(filepath.Join(docsFolder, target)); err != nil {
				t.Errorf("%s: %s leads nowhere", p.file, match[1])
				continue
			}
			if anchor != "" && !slices.Contains(anchors(readPage(t, target).text), anchor) {
				t.Errorf("%s: %s: no such heading", p.file, match[1])
			}
		}
	}
}

var notInAnchor = regexp.MustCompile(`[^a-z0-9 _-]`)

// anchors are the headings as GitHub links to them.
func anchors(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			all = append(all, strings.ReplaceAll(notInAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), ""), " ", "-"))
		}
	}
	return all
}

// pagesOfSources are the pages by their source. TestEverySenderHasItsPage alone reports a missing one.
func pagesOfSources(t *testing.T) map[string]docPage {
	t.Helper()
	pages := map[string]docPage{}
	for _, p := range senderPages(t) {
		if name := strings.TrimSuffix(path.Base(p.file), ".md"); slices.Contains(sourceNames(t), name) {
			pages[name] = p
		}
	}
	return pages
}

func sourceNames(t *testing.T) []string {
	t.Helper()
	return builtIn(t).Names()
}

func builtIn(t *testing.T) *source.Sources {
	t.Helper()
	loaded, err := source.Load(sources.FS())
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func sourceOf(t *testing.T, loaded *source.Sources, name string) *source.Source {
	t.Helper()
	s, ok := loaded.Get(name)
	if !ok {
		t.Fatalf("there is no source %q", name)
	}
	return s
}

func readSource(t *testing.T, name string) sourceFile {
	t.Helper()
	content, err := fs.ReadFile(sources.FS(), name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file sourceFile
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

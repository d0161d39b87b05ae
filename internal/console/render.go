package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"license-deactivator/internal/deactivation"
)

//go:embed templates/*.html
var templates embed.FS

// pages are the parsed templates.
type pages struct{ all *template.Template }

func parsePages() (*pages, error) {
	all, err := template.New("").Funcs(template.FuncMap{
		"nav": nav, "stamp": stamp, "iso": iso, "tone": tone, "says": says, "of": countOf, "join": strings.Join, "number": number, "svg": sparkline, "cost": cost, "page": page, "pick": pick, "planOf": planOf,
		"only": only, "wayOf": func(way string, f LetterFilter) planForms { return planForms{way, f} }, "matched": matched, "sentence": sentence, "unless": unless, "sum": sum, "calls": calls, "per": per, "span": span,
	}).ParseFS(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return &pages{all}, nil
}

func (p *pages) render(name string, content any) ([]byte, error) {
	var out bytes.Buffer
	if err := p.all.ExecuteTemplate(&out, name, content); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// nav are the attributes of a link to a page: its path, and names and values of its parameters. Empty values are left out.
func nav(path string, parameters ...any) template.HTMLAttr {
	values := url.Values{}
	for i := 0; i+1 < len(parameters); i += 2 {
		if text := fmt.Sprint(parameters[i+1]); text != "" {
			values.Set(fmt.Sprint(parameters[i]), text)
		}
	}
	query := ""
	if len(values) > 0 {
		query = "?" + values.Encode() // has no quote, and & is escaped below
	}
	to := template.HTMLEscapeString(path + query)
	content := template.HTMLEscapeString(viewOf(path) + query)
	return template.HTMLAttr(fmt.Sprintf(`href="%s" hx-get="%s" hx-push-url="%s" hx-target="#view" hx-swap="innerHTML show:window:top"`, to, content, to)) //nolint:gosec // both parts are escaped
}

// viewOf is the address of a page's content.
func viewOf(path string) string {
	if path == "/" {
		path = "/overview"
	}
	return "/view" + path
}

// stamp is a time with its zone; "" for the zero time.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// iso is a time for the attribute datetime.
func iso(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// number is a number with separators of thousands.
func number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + " " + text[i:] // a narrow space that does not break
	}
	return text
}

// countOf is "1 letter", "3 letters".
func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return number(n) + " " + what + "s"
}

// tone is the color of an outcome, an answer or a reason.
func tone(name any) string {
	switch fmt.Sprint(name) {
	case string(deactivation.Deactivated), string(deactivation.Accepted), "released", "unchanged":
		return "good"
	case string(deactivation.AlreadyInactive), string(deactivation.Ignored):
		return "quiet"
	case "waiting", "mapped":
		return "busy"
	case string(deactivation.Deferred), string(deactivation.Stale), string(deactivation.Reversed), string(deactivation.Unmappable),
		string(deactivation.ReasonHeld), string(deactivation.ReasonWatched), "kept":
		return "warn"
	case "":
		return "quiet"
	}
	return "bad"
}

// says is an outcome, an answer or a reason in the words of a person.
func says(name any) string { return strings.ReplaceAll(fmt.Sprint(name), "_", " ") }

// titled is what the head of a page shows.
type titled struct{ Title, Place string }

func page(title, place string) titled { return titled{title, place} }

// picked is a choice of windows for a page.
type picked struct {
	Window  window
	Windows []window
	Path    string
}

func pick(now window, all []window, path string) picked { return picked{now, all, path} }

// planForm is a button that plans an act.
type planForm struct {
	Do, Label string
	Filter    LetterFilter
	Remap     bool
}

// planForms are the buttons for letters with which a redrive does the same.
type planForms struct {
	Way    string
	Filter LetterFilter
}

func planOf(do, label string, f LetterFilter, remap bool) planForm {
	return planForm{do, label, f, remap}
}

// only chooses the letter with a message id.
func only(id string) LetterFilter { return LetterFilter{IDs: []string{id}} }

// unless is "1" for an empty text.
func unless(text string) string {
	if text == "" {
		return "1"
	}
	return ""
}

func sum(a, b int) int { return a + b }

// calls is a number of calls.
func calls(n float64) string { return strconv.FormatFloat(math.Round(n*10)/10, 'f', -1, 64) }

// per is "a minute" for a minute, "in 10 s" for another step.
func per(step time.Duration) string {
	switch step {
	case time.Second:
		return "a second"
	case time.Minute:
		return "a minute"
	case time.Hour:
		return "an hour"
	}
	return "in " + span(step, 2)
}

// span is how long n steps take: "1 h", "30 min".
func span(step time.Duration, n int) string {
	switch d := step * time.Duration(max(n-1, 0)); {
	case d >= time.Hour:
		return strconv.FormatFloat(math.Round(d.Hours()*10)/10, 'f', -1, 64) + " h"
	case d >= time.Minute:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	default:
		return strconv.Itoa(int(d/time.Second)) + " s"
	}
}

// matched reports whether a line of an explanation is the rule that decides.
func matched(line string) bool { return strings.Contains(line, "  YES: ") }

// sentence is a text of a table of meanings as a sentence of its own: with a capital, and without the marks of code.
func sentence(text string) string {
	text = strings.ReplaceAll(text, "`", "")
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

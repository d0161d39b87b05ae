package console

import (
	"embed"
	"errors"
	"net/http"
	"path"
	"slices"
	"strings"
)

// static are the files that the page loads. htmx.min.js is htmx 2.0.11 as the npm package htmx.org has it; its license is beside
// it.
//
//go:embed static
var static embed.FS

// routes are the addresses of the server. Every page has two: /events is the frame, the same for everybody, and /view/events its
// content, for which the frame's script has the token.
func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for _, page := range []string{"/{$}", "/events", "/event", "/orders", "/letters", "/letter", "/samples"} {
		mux.HandleFunc("GET "+page, s.frame)
	}
	mux.HandleFunc("GET /static/{file}", serveStatic)
	for pattern, view := range map[string]func(*http.Request) (view, error){
		"GET /view/overview":      s.overview,
		"GET /view/overview/live": s.overviewLive,
		"GET /view/events":        s.events,
		"GET /view/events/live":   s.eventsLive,
		"GET /view/event":         s.event,
		"GET /view/orders":        s.orders,
		"POST /view/orders":       s.orders,
		"GET /view/letters":       s.letters,
		"GET /view/letter":        s.letter,
		"GET /view/samples":       s.samples,
		"POST /view/plan":         s.plan,
		"POST /view/act":          s.act,
		"POST /view/samples/send": s.send,
	} {
		mux.HandleFunc(pattern, s.serve(view))
	}
	return mux
}

// view is one filled template.
type view struct {
	name    string // of the template
	content any
	push    string // the address that the browser shows from now on; "": unchanged
}

// serve renders a view, or an error as one. htmx shows an answer with any status.
func (s *Server) serve(of func(*http.Request) (view, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := of(r)
		status := http.StatusOK
		if err != nil {
			v, status = problemView(err)
		}
		text, failed := s.pages.render(v.name, v.content)
		if failed != nil {
			http.Error(w, "the page cannot be shown: "+failed.Error(), http.StatusInternalServerError)
			return
		}
		if v.push != "" {
			w.Header().Set("HX-Push-Url", v.push)
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write(text) // the browser is gone, or it has the page
	}
}

// frame serves the page without content.
func (s *Server) frame(w http.ResponseWriter, _ *http.Request) {
	text, err := s.pages.render("frame", s.Samples != nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(text)
}

// serveStatic serves an embedded file by its name.
func serveStatic(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	content, err := static.ReadFile("static/" + name)
	if err != nil {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	types := map[string]string{".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}
	w.Header().Set("Content-Type", types[path.Ext(name)]+"; charset=utf-8")
	_, _ = w.Write(content) //nolint:gosec // an embedded file, chosen by its name
}

// problem is an error for a person.
type problem struct {
	Title string
	Text  string
	Hint  string

	Letters bool // the way on begins at the letters
}

// errForm is the error of a form that this page did not make.
var errForm = errors.New("the form is not complete")

// errReadOnly is the error of an act on a page without Config.AllowWrites.
var errReadOnly = errors.New("this page is read-only: start licensectl console with --allow-writes to act")

// problemView shows an error, with the hint that it may have.
func problemView(err error) (view, int) {
	p, status := problem{Title: "That did not work", Text: err.Error()}, http.StatusBadGateway
	if hinted, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		p.Hint = hinted.Hint()
	}
	switch {
	case errors.Is(err, errForm):
		status = http.StatusBadRequest
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
			p.Text, status = tooLarge.Error(), http.StatusRequestEntityTooLarge
		}
	case errors.Is(err, errNoSamples):
		p.Title, status = "No samples", http.StatusNotFound
	case errors.Is(err, errReadOnly):
		p.Title, status = "Read-only", http.StatusForbidden
	case errors.Is(err, ErrNoLetter):
		p.Title, status = "No such letter", http.StatusNotFound
		p.Hint = "It was redriven or purged, or another reader holds it for at most 30 seconds. Look at the list again."
	case errors.Is(err, ErrStale), errors.Is(err, errPlanGone):
		p.Title, status = "The plan is out of date", http.StatusConflict
		p.Hint = "Go back to the letters and make the plan again."
	case errors.Is(err, ErrCount):
		p.Title, status = "The count does not match", http.StatusConflict
		p.Hint = "Make the plan again and type the number of letters that it shows."
	}
	p.Text = strings.TrimPrefix(p.Text, "console: ")
	p.Letters = slices.ContainsFunc([]error{ErrNoLetter, ErrStale, errPlanGone, ErrCount, errComment}, func(of error) bool { return errors.Is(err, of) })
	return view{name: "problem", content: p}, status
}

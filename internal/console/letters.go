package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// lettersPage is the dead letters, grouped, and those of the chosen group.
type lettersPage struct {
	Place   string
	Writes  bool
	Seen    int
	Groups  []letterGroup
	Filter  LetterFilter
	Chosen  bool // a filter is set
	Rows    []Letter
	Pager   pager
	Notes   []string
	Samples bool
}

// letterGroup is the letters with the same reason, code and source.
type letterGroup struct {
	Reason deactivation.Reason
	Code   string
	Source string
	N      int
	Oldest time.Time
	Newest time.Time
	Is     string
	ToDo   string
}

// letterFilter reads the filter of an address or a form.
func letterFilter(values url.Values) LetterFilter {
	f := LetterFilter{
		Reason: deactivation.Reason(values.Get("reason")), Code: values.Get("code"), NoCode: values.Get("nocode") != "",
		Source: values.Get("source"), NoSource: values.Get("nosource") != "", Order: values.Get("order"),
	}
	if id := values.Get("id"); id != "" {
		f.IDs = []string{id}
	}
	return f
}

func (f LetterFilter) isZero() bool {
	return f.Reason == "" && f.Code == "" && !f.NoCode && f.Source == "" && !f.NoSource && f.Order == "" && len(f.IDs) == 0
}

func (f LetterFilter) chooses(l Letter) bool {
	return (f.Reason == "" || l.Reason == f.Reason) && (f.Code == "" || l.Code == f.Code) && (!f.NoCode || l.Code == "") && (f.Source == "" || l.Source == f.Source) &&
		(!f.NoSource || l.Source == "") && (f.Order == "" || slices.Contains(l.Orders, f.Order)) && (len(f.IDs) == 0 || slices.Contains(f.IDs, l.ID) || slices.Contains(f.IDs, l.MessageID))
}

// letters shows all groups, and the rows of the chosen one: one look at the queue gives both.
func (s *Server) letters(r *http.Request) (view, error) {
	list, err := s.Letters.List(r.Context(), LetterFilter{})
	if err != nil {
		return view{}, err
	}
	page := lettersPage{
		Place: s.Place, Writes: s.AllowWrites, Seen: list.Seen, Groups: letterGroups(list.Letters), Filter: letterFilter(r.URL.Query()), Notes: list.Notes, Samples: s.Samples != nil,
	}
	page.Chosen = !page.Filter.isZero()
	rows := slices.DeleteFunc(list.Letters, func(l Letter) bool { return !page.Filter.chooses(l) })
	begin, end, pager := paged("/letters", r, len(rows))
	page.Rows, page.Pager = rows[begin:end], pager
	return view{name: "letters", content: page}, nil
}

// letterGroups groups letters, the largest group first.
func letterGroups(letters []Letter) []letterGroup {
	type key struct {
		reason       deactivation.Reason
		code, source string
	}
	index := map[key]int{}
	var groups []letterGroup
	for _, l := range letters {
		k := key{l.Reason, l.Code, l.Source}
		i, ok := index[k]
		if !ok {
			i = len(groups)
			index[k] = i
			groups = append(groups, letterGroup{Reason: l.Reason, Code: l.Code, Source: l.Source, Oldest: l.At, Is: l.Is, ToDo: l.ToDo})
		}
		groups[i].N++
		groups[i].Newest = l.At
	}
	slices.SortFunc(groups, func(a, b letterGroup) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Source, b.Source))
	})
	return groups
}

// letterPage is one dead letter: what happened, what to do, and how to do it.
type letterPage struct {
	Place       string
	Writes      bool
	Letter      Letter
	Timeline    []timeline
	Unread      string // why there is no timeline
	Explanation *Explanation
}

func (s *Server) letter(r *http.Request) (view, error) {
	id := r.URL.Query().Get("id")
	if id == "" {
		return view{}, errForm
	}
	l, err := s.Letters.Show(r.Context(), id)
	if err != nil {
		return view{}, err
	}
	page := letterPage{Place: s.Place, Writes: s.AllowWrites, Letter: l}
	answer, err := s.History.Ask(r.Context(), history.OfID(l.ID), s.Now().Add(-longAgo))
	if err != nil {
		page.Unread = "Its timeline cannot be read: " + err.Error()
	}
	page.Timeline = timelines(answer.Requests)
	if explanation, err := s.Explainer.Explain(r.Context(), l.ID); err == nil {
		page.Explanation = &explanation
	}
	return view{name: "letter", content: page}, nil
}

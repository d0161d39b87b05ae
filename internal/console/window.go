package console

import (
	"cmp"
	"net/http"
	"net/url"
	"time"
)

// window is how far back a page looks.
type window struct {
	Name string // as in the address: 24h
	Says string
	age  time.Duration
}

// windows are the choices. In AWS a longer one reads more of the log, and costs more.
func windows() []window {
	return []window{
		{"1h", "Last hour", time.Hour}, {"24h", "Last 24 hours", 24 * time.Hour}, {"7d", "Last 7 days", 7 * 24 * time.Hour}, {"30d", "Last 30 days", 30 * 24 * time.Hour},
	}
}

// defaultWindow is 24 hours.
const defaultWindow = 1

// windowOf returns the choice of an address, or the default.
func windowOf(values url.Values) window {
	for _, w := range windows() {
		if w.Name == values.Get("since") {
			return w
		}
	}
	return windows()[defaultWindow]
}

func (w window) since(now time.Time) time.Time { return now.Add(-w.age) }

// refreshEvery is the time between two looks of an open page, as htmx takes it.
func (s *Server) refreshEvery() string { return "every " + cmp.Or(s.Refresh, defaultRefresh).String() }

// rowsOfPage is how many rows a page shows: enough to read, and few enough to be quick with 10,000 of them.
const rowsOfPage = 50

// pager is one page of many rows.
type pager struct {
	Page, Pages int
	From, To    int // the rows of the page, from 1
	Of          int
	Prev, Next  string // addresses; "" at an end
	Path        string
}

// paged returns the bounds of the page that an address asks for, and its links.
func paged(path string, r *http.Request, rows int) (begin, end int, p pager) {
	values := r.URL.Query()
	pages := max((rows+rowsOfPage-1)/rowsOfPage, 1)
	page := min(max(atoi(values.Get("page")), 1), pages)
	begin, end = (page-1)*rowsOfPage, min(page*rowsOfPage, rows)
	p = pager{Page: page, Pages: pages, From: min(begin+1, rows), To: end, Of: rows, Path: path}
	link := func(to int) string {
		values.Set("page", itoa(to))
		return path + "?" + values.Encode()
	}
	if page > 1 {
		p.Prev = link(page - 1)
	}
	if page < pages {
		p.Next = link(page + 1)
	}
	return begin, end, p
}

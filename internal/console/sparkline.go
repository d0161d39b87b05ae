package console

import (
	"fmt"
	"html/template"
	"strings"
)

// Measures of a sparkline, in its own units.
const (
	sparkWidth  = 320
	sparkHeight = 64
	sparkMargin = 4
)

// sparkline draws the calls of a rate as an SVG, with its limit as a dashed line. The limit is drawn where the calls come near
// to it; else the line of the calls would lie flat at the bottom.
func sparkline(c rateCard) template.HTML {
	top := c.Most
	const near = 3
	limited := c.Limit > 0 && c.Limit <= near*max(c.Most, 1)
	if limited {
		top = max(top, c.Limit)
	}
	top = max(top, 1)
	y := func(n float64) float64 {
		return sparkHeight - sparkMargin - n/top*(sparkHeight-2*sparkMargin)
	}
	var points []string
	for i, n := range c.Calls {
		x := float64(i) * sparkWidth / float64(max(len(c.Calls)-1, 1))
		points = append(points, fmt.Sprintf("%.1f,%.1f", x, y(n)))
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg class="spark" viewBox="0 0 %d %d" preserveAspectRatio="none" aria-hidden="true">`, sparkWidth, sparkHeight)
	if len(points) > 1 {
		line := strings.Join(points, " ")
		fmt.Fprintf(&out, `<polygon points="0,%d %s %d,%d"/><polyline points="%s"/>`, sparkHeight, line, sparkWidth, sparkHeight, line)
	}
	if limited {
		fmt.Fprintf(&out, `<line x1="0" x2="%d" y1="%.1f" y2="%.1f"/>`, sparkWidth, y(c.Limit), y(c.Limit))
	}
	out.WriteString("</svg>")
	return template.HTML(out.String()) //nolint:gosec // it holds numbers alone
}

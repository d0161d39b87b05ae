package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/telemetry"
)

// response is an HTTP answer as API Gateway and function URLs take it.
type response struct {
	StatusCode int             `json:"statusCode"`
	Headers    responseHeaders `json:"headers"`
	Body       string          `json:"body"`
}

type responseHeaders struct {
	ContentType string `json:"content-type"`
	Allow       string `json:"allow,omitempty"`
}

// unavailable is what a sender hears when we, or AWS, are at fault: it shall come again.
func unavailable() *refusal {
	return &refusal{http.StatusServiceUnavailable, "not now; please send it again"}
}

// answer tells the sender what became of its delivery, in its dialect, and logs a line for each event. lost are the
// places of mappings that no queue has taken.
func (h *Handler) answer(ctx context.Context, source *Source, mappings []Mapping, lost map[int]bool) response {
	answer := source.answer(mappings, lost)
	for i, m := range mappings {
		line := telemetry.Delivery{
			Source: source.Name, Event: shortID(m.Event), Rule: m.Rule, Answer: m.Answer, Status: answer.StatusCode,
			Missing: m.Missing, Problem: m.Problem,
		}
		for _, r := range m.Requests {
			line.Requests = append(line.Requests, r.ID)
		}
		if lost[i] {
			line.Answer, line.Problem = deactivation.Refused, "no queue took it; the sender was asked to come again"
		}
		h.record(ctx, line)
	}
	return answer
}

func (s *Source) answer(mappings []Mapping, lost map[int]bool) response {
	if len(lost) > 0 && (s.dialect != dialectFastSpring || len(lost) == len(mappings)) {
		return s.refusal(unavailable())
	}
	switch {
	case len(lost) > 0: // FastSpring takes a list of the events that are done, and sends the others again
		var done []string
		for i, m := range mappings {
			if !lost[i] {
				done = append(done, m.Event)
			}
		}
		return response{http.StatusAccepted, header("text/plain; charset=utf-8"), strings.Join(done, "\n") + "\n"}
	case s.dialect == dialectSalesforce:
		return response{http.StatusOK, header("text/xml; charset=utf-8"), salesforceAck("true")}
	}
	var ids, missing []string
	answer := deactivation.Ignored
	for _, m := range mappings {
		for _, r := range m.Requests {
			ids = append(ids, r.ID)
		}
		missing = appendNew(missing, m.Missing)
		if answer == deactivation.Ignored || m.Answer == deactivation.Accepted {
			answer = m.Answer
		}
	}
	return plain(http.StatusOK, answer, ids, missing)
}

// refuse answers and logs a delivery that goes no further. source is nil where none is known.
func (h *Handler) refuse(ctx context.Context, source *Source, r *refusal) response {
	line := telemetry.Delivery{Answer: deactivation.Refused, Status: r.status, Problem: r.why}
	answer := refused(r)
	if source != nil {
		line.Source = source.Name
		answer = source.refusal(r)
	}
	h.record(ctx, line)
	return answer
}

// refusal is the answer to a delivery that is refused. Salesforce reads an Ack in it whatever the status.
func (s *Source) refusal(r *refusal) response {
	if s.dialect == dialectSalesforce && r.status == http.StatusServiceUnavailable {
		return response{r.status, header("text/xml; charset=utf-8"), salesforceAck("false")}
	}
	return refused(r)
}

func refused(r *refusal) response {
	body, _ := json.Marshal(map[string]string{"answer": string(deactivation.Refused), "error": r.why}) //nolint:errchkjson // two texts
	answer := response{r.status, header("application/json"), string(body)}
	if r.status == http.StatusMethodNotAllowed {
		answer.Headers.Allow = http.MethodPost
	}
	return answer
}

// plain is the answer that every sender but two reads: the status alone. The body is for people.
func plain(status int, answer deactivation.Answer, ids, missing []string) response {
	body, _ := json.Marshal(struct { //nolint:errchkjson // texts
		Answer  deactivation.Answer `json:"answer"`
		IDs     []string            `json:"ids,omitempty"`
		Missing []string            `json:"missing,omitempty"`
	}{answer, ids, missing})
	return response{status, header("application/json"), string(body)}
}

func header(contentType string) responseHeaders { return responseHeaders{ContentType: contentType} }

// salesforceAck is the one body that Salesforce understands; any other makes it send the whole batch again.
func salesforceAck(ack string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">` +
		`<soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>` + ack +
		`</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>`
}

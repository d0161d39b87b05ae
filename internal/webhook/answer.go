package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
)

// response is an HTTP answer in the form of API Gateway and function URLs.
type response struct {
	StatusCode int             `json:"statusCode"`
	Headers    responseHeaders `json:"headers"`
	Body       string          `json:"body"`
}

type responseHeaders struct {
	ContentType string `json:"content-type"`
	Allow       string `json:"allow,omitempty"`
}

// log writes the line of an event's outcome.
func (h *Handler) log(ctx context.Context, d telemetry.Delivery) {
	h.Recorder.Delivery(ctx, d)
	if h.OnDelivery != nil {
		h.OnDelivery(d)
	}
}

// answer answers a delivery in the sender's dialect, and logs a line for each event.
func (h *Handler) answer(ctx context.Context, src *source.Source, v source.Verified, outcomes []outcome) response {
	answer := answerFor(src.Dialect, outcomes, func() string { return v.Receipt(h.Now()) })
	for _, o := range outcomes {
		line := telemetry.Delivery{
			ID: deactivation.EventRequestID(src.Name, o.EventID()), Source: src.Name, Event: o.EventID(), Rule: o.Rule, Values: o.Values,
			Answer: o.Answer, Order: o.Order, Status: answer.StatusCode, Missing: o.Missing, Problem: o.Problem, Code: o.Code,
			ReceivedAt: v.ReceivedAt,
		}
		addRequests(&line, o.Requests)
		if !o.safe {
			line.Answer, line.Problem = deactivation.Refused, "no queue accepted it; the sender was asked to retry"
		}
		h.log(ctx, line)
	}
	return answer
}

// answerFor is the answer to a delivery with these outcomes. After any answer but success the sender delivers again. An
// event that cannot be read has no id: if it was not accepted, no list of ids can say so. receipt signs the answer where
// the dialect needs that.
func answerFor(dialect source.Dialect, outcomes []outcome, receipt func() string) response {
	safe, nameable := 0, true
	for _, o := range outcomes {
		if o.safe {
			safe++
			continue
		}
		nameable = nameable && o.Code != deactivation.CodeUnreadable
	}
	switch {
	case safe < len(outcomes) && (dialect != source.FastSpring || safe == 0 || !nameable):
		return refusalIn(dialect, unavailable())
	case safe < len(outcomes):
		return fastSpringPartial(outcomes)
	case dialect == source.Salesforce:
		return response{http.StatusOK, header("text/xml; charset=utf-8"), salesforceAck("true")}
	case dialect == source.TwoCheckout: // also of ignored and parked events: without it the sender delivers again
		return response{http.StatusOK, header("text/html; charset=utf-8"), receipt()}
	}
	var ids, missing []string
	answer := deactivation.Ignored
	for _, o := range outcomes {
		for _, r := range o.Requests {
			ids = append(ids, r.ID)
		}
		for _, field := range o.Missing {
			if !slices.Contains(missing, field) {
				missing = append(missing, field)
			}
		}
		if answer == deactivation.Ignored || o.Answer == deactivation.Accepted {
			answer = o.Answer
		}
	}
	if dialect == source.AppSumo {
		return appSumo(answer, outcomes[0].Type)
	}
	return plain(answer, ids, missing)
}

// answerPing answers and logs a sender's ping.
func (h *Handler) answerPing(ctx context.Context, src *source.Source) response {
	h.log(ctx, telemetry.Delivery{Source: src.Name, Rule: "ping", Answer: deactivation.Ignored, Status: http.StatusOK})
	return pingAnswer(src.Dialect)
}

// pingAnswer answers a ping, which is not read. AppSumo's is a purchase: https://docs.licensing.appsumo.com/webhook/webhook__getting_started.html
func pingAnswer(dialect source.Dialect) response {
	if dialect == source.AppSumo {
		return appSumo(deactivation.Ignored, "purchase")
	}
	return plain(deactivation.Ignored, nil, nil)
}

// refuse answers and logs a delivery that is refused. from is nil for an unknown source.
func (h *Handler) refuse(ctx context.Context, src *source.Source, r *refusal) response {
	line := telemetry.Delivery{Answer: deactivation.Refused, Code: r.code, Status: r.status, Problem: r.why}
	dialect := source.Plain
	if src != nil {
		line.Source, dialect = src.Name, src.Dialect
	}
	h.log(ctx, line)
	return refusalIn(dialect, r)
}

// refusalIn is the answer to a refused delivery. Salesforce reads an Ack in it with any status.
func refusalIn(dialect source.Dialect, r *refusal) response {
	if dialect == source.Salesforce && r.status == http.StatusServiceUnavailable {
		return response{r.status, header("text/xml; charset=utf-8"), salesforceAck("false")}
	}
	body, _ := json.Marshal(map[string]string{"answer": string(deactivation.Refused), "error": r.why}) //nolint:errchkjson // two texts
	answer := response{r.status, header("application/json"), string(body)}
	if r.status == http.StatusMethodNotAllowed {
		answer.Headers.Allow = http.MethodPost
	}
	return answer
}

// plain is the success answer of every other dialect: senders read only the status. The body is for people.
func plain(answer deactivation.Answer, ids, missing []string) response {
	body, _ := json.Marshal(struct { //nolint:errchkjson // texts
		Answer  deactivation.Answer `json:"answer"`
		IDs     []string            `json:"ids,omitempty"`
		Missing []string            `json:"missing,omitempty"`
	}{answer, ids, missing})
	return response{http.StatusOK, header("application/json"), string(body)}
}

// appSumo is the answer without which AppSumo does not save the address, and delivers an event again.
func appSumo(answer deactivation.Answer, event string) response {
	body, _ := json.Marshal(struct { //nolint:errchkjson // texts
		Answer  deactivation.Answer `json:"answer"`
		Event   string              `json:"event"`
		Success bool                `json:"success"`
	}{answer, event, true})
	return response{http.StatusOK, header("application/json"), string(body)}
}

// fastSpringPartial lists the events that are done; FastSpring delivers the others again.
func fastSpringPartial(outcomes []outcome) response {
	var done []string
	for _, o := range outcomes {
		if o.safe {
			done = append(done, o.Event)
		}
	}
	return response{http.StatusAccepted, header("text/plain; charset=utf-8"), strings.Join(done, "\n") + "\n"}
}

func header(contentType string) responseHeaders { return responseHeaders{ContentType: contentType} }

// salesforceAck is the only body that Salesforce understands; any other makes it send the whole batch again.
func salesforceAck(ack string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">` +
		`<soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>` + ack +
		`</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>`
}

package webhook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"license-deactivator/internal/sample"
	"license-deactivator/internal/webhook"
)

// maxDeliveryBytes is the most that a delivery may allocate in all, with any body: three quarters of the function's
// memory (MemorySize in template.yaml). Most of it is garbage long before the answer.
const maxDeliveryBytes = 192 << 20

// hostileShapes are bodies of a size in the most expensive shapes that we know. A body whose fixed part is larger than
// that has the size of this part.
func hostileShapes(size int) map[string]sample.Sample {
	shapes := hostile(size)
	maps.Copy(shapes, hostileAtLimits(size))
	return shapes
}

// hostile are bodies in shapes that grow with them. Their sender has our secret: it is a broken shop or an attacker.
func hostile(size int) map[string]sample.Sample {
	fill := filler(size)
	json := func(source, head, item, tail string) sample.Sample { return fill(source, head, item, ",", tail) }
	order := `{"id":1,"financial_status":"refunded","note_attributes":[{"name":"license_key","value":"K0"},{"name":"hardware_id","value":"h0"}],`
	partly := strings.Replace(order, "refunded", "partially_refunded", 1)
	times := func(n int, item string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = strings.ReplaceAll(item, "#", fmt.Sprint(i))
		}
		return strings.Join(items, ",")
	}
	thousand := func(item string) string { return times(1000, item) } // the most lines that are evaluated
	line := `{"id":1,"quantity":1,"current_quantity":0,"properties":[{"name":"license_key","value":"K#"}]}`
	many := strings.Repeat("1,", 40_000)
	refunded := `{"id":1,"quantity":1,"current_quantity":0,"properties":[{"name":"license_key","value":"@"}]}`
	kept := strings.Replace(refunded, `"current_quantity":0`, `"current_quantity":1`, 1)
	some, others := strings.Join(numbered("", 40), ","), strings.Join(numbered("x", 40), ",")
	list := strings.Repeat("#,", 10_000)
	return map[string]sample.Sample{
		"lines × refunds of one id":       json("shopify", partly+`"line_items":[`+thousand(line)+`],"refunds":[{"refund_line_items":[`, `{"line_item_id":1,"quantity":1}`, `]}]}`),
		"lines × refunds of their own":    json("shopify", partly+`"line_items":[`+thousand(strings.Replace(line, `"id":1`, `"id":#`, 1))+`],"refunds":[{"refund_line_items":[`, `{"line_item_id":#,"quantity":1}`, `]}]}`),
		"refunds of one line":             json("shopify", partly+`"line_items":[`+line+`],"refunds":[{"refund_line_items":[`, `{"line_item_id":1,"quantity":1}`, `]}]}`),
		"lines × lines still paid for":    fill("shopify", partly+`"line_items":[`+times(500, strings.Replace(refunded, "@", some, 1))+","+times(450, strings.Replace(kept, "@", others, 1))+","+strings.Replace(kept, "@", some, 1)+`],"refunds":[{"refund_line_items":[{"line_item_id":1,"quantity":1}]}],"a":"`, `x`, "", `"}`),
		"keys × devices still paid for":   fill("shopify", strings.Replace(partly, "h0", counted(list), 1)+`"line_items":[`+strings.Replace(refunded, "@", counted(list), 1)+","+strings.Replace(kept, "@", counted(list), 1)+`],"refunds":[{"refund_line_items":[{"line_item_id":1,"quantity":1}]}],"a":"`, `x`, "", `"}`),
		"lines":                           json("shopify", order+`"line_items":[`, `{}`, `]}`),
		"lines × devices of the order":    fill("shopify", strings.Replace(order, "h0", many, 1)+`"line_items":[`+thousand(`{"sku":"P"}`)+`],"a":"`, `x`, "", `"}`),
		"lines × keys":                    fill("shopify", order+`"line_items":[`+thousand(`{"sku":"P","properties":[{"name":"license_key","value":"`+strings.Join(numbered("", 80), ",")[:190]+`"}]}`)+`],"a":"`, `x`, "", `"}`),
		"names twice":                     json("shopify", `{"id":1,"financial_status":"refunded","note_attributes":[{"name":"license_key","value":["`+strings.Repeat("x", 100<<10)+`"]},`, `{"name":"license_key","value":0}`, `]}`),
		"other names twice":               json("shopify", `{"id":1,"financial_status":"refunded","note_attributes":[{"name":"x","value":["`+strings.Repeat("x", 100<<10)+`"]},`, `{"name":"x","value":0}`, `]}`),
		"keys in many objects":            json("standard", `{"type":"order.refunded","data":{"metadata":[`, `{"license_key":"#"}`, `]}}`),
		"pairs in many objects":           fill("fastspring", `{"events":[`+times(50, `{"type":"return.created","data":{"completed":true,"totalReturn":1,"original":{"total":1},"tags":[`+times(100, `{"license_key":"`+strings.Join(numbered("k", 15), ",")+`","hardware_id":"#"}`)+`]}}`)+`],"a":"`, `x`, "", `"}`),
		"devices to lend":                 fill("stripe", `{"id":"e","type":"charge.refunded","data":{"object":{"refunded":true,"metadata":[`+times(100, `{"license_key":"`+strings.Join(numbered("k", 1000), ",")+`"}`)+`]}},"a":"`, `x`, "", `"}`),
		"refunds without an end":          json("shopify", partly+`"line_items":[{"quantity":1,"current_quantity":0}],"refunds":[`, `{"transactions":[{"kind":"refund","status":"success"}],"refund_line_items":[{"quantity":0}]}`, `]}`),
		"keys in a long list":             json("standard", `{"type":"order.refunded","data":{"metadata":[{"license_key":[`, `#`, `]}]}}`),
		"keys × devices":                  json("standard", `{"type":"order.refunded","data":{"product":"P","license_key":"`+many+`","hardware_id":[`, `#`, `]}}`),
		"one key again and again":         fill("standard", `{"type":"order.refunded","data":{"product":"P","hardware_id":"h","license_key":"`, `K`, ",", `"}}`),
		"records that need the body hash": fill("hubspot", `[`+times(499, `{}`)+`,{"a":"`, `x`, "", `"}]`),
		"records":                         json("hubspot", `[`, `{}`, `]`),
		"properties":                      json("hubspot", `{"properties":{`, `"p#":{"value":"x"}`, `}}`),
		"events × keys":                   fill("fastspring", `{"events":[`+times(500, `{"type":"subscription.deactivated","data":{"tags":{"product":"P","hardware_id":"h","license_key":"`+strings.Join(numbered("", 100), ",")+`"}}}`)+`],"a":"`, `x`, "", `"}`),
		"metadata":                        json("stripe", `{"id":"e","type":"charge.refunded","data":{"object":{"refunded":true,"metadata":{`, `"k#":"v"`, `}}}}`),
		"the same name":                   json("stripe", `{"id":"e","type":"charge.refunded","data":{"object":{"refunded":true,"metadata":{`, `"license_key":"v"`, `}}}}`),
		"numbers":                         json("stripe", `{"id":"e","type":"charge.refunded","data":{"object":{"refunded":true,"amounts":[`, `1`, `]}}}`),
		"a huge number":                   fill("stripe", `{"id":1`, `1`, "", `,"type":"charge.refunded","data":{"object":{"refunded":true,"metadata":{"license_key":1}}}}`),
		"huge numbers":                    json("fastspring", `{"events":[{"id":"e","type":"return.created","data":{"totalReturn":1e999999999,"original":{"total":1`+strings.Repeat("0", 100<<10)+`.5},"items":[`, `1e308`, `]}}]}`),
		"as deep as the decoder takes":    fill("standard", `{"type":"order.refunded","data":{"metadata":{"license_key":`+strings.Repeat("[", 9990)+strings.Repeat("]", 9990)+`}},"a":"`, `x`, "", `"}`),
		"deeper":                          fill("standard", strings.Repeat("[", 100_000), `]`, "", ``),
		"escapes":                         json("standard", `{"type":"order.refunded","data":{"metadata":{"license_key":"`, `\u00e4`, `"}}}`),
		"lists in lists":                  json("generic", `{"id":"e","type":"order.refunded","data":[`, `[[[{}]]]`, `]}`),
		"elements":                        fill("salesforce", soapHead+`<Notification><Id>n</Id><sObject>`, `<a/>`, "", `</sObject></Notification>`+soapTail),
		"attributes":                      fill("salesforce", soapHead+`<Notification><Id>n</Id><sObject `, `xmlns:a#="b"`, " ", `></sObject></Notification>`+soapTail),
		"notifications":                   fill("salesforce", soapHead, `<Notification><Id>#</Id></Notification>`, "", soapTail),
		"entities":                        fill("salesforce", soapHead+`<Notification><Id>n</Id><sObject><License_Key__c>`, `&amp;`, "", `</License_Key__c></sObject></Notification>`+soapTail),
	}
}

const (
	soapHead = `<Envelope><Body><notifications>`
	soapTail = `</notifications></Body></Envelope>`
)

// counted writes a number for each #.
func counted(text string) string {
	var out strings.Builder
	for n, part := range strings.Split(text, "#") {
		if n > 0 {
			fmt.Fprint(&out, n)
		}
		out.WriteString(part)
	}
	return out.String()
}

// filler returns a function that repeats item, with its number for #, between head and tail up to a size.
func filler(size int) func(source, head, item, separator, tail string) sample.Sample {
	return func(source, head, item, separator, tail string) sample.Sample {
		var body strings.Builder
		body.WriteString(head)
		for n := 0; ; n++ {
			next := strings.ReplaceAll(item, "#", fmt.Sprint(n))
			if n > 0 {
				next = separator + next
			}
			if body.Len()+len(next)+len(tail) > size {
				break
			}
			body.WriteString(next)
		}
		body.WriteString(tail)
		return sample.Sample{Source: source, Body: []byte(body.String()), Headers: map[string]string{"webhook-id": "msg_1", "Content-Type": "application/json"}}
	}
}

// maxGrowth is by how much more a body of twice the size may allocate: what grows with the square takes four times as
// much. A map or a list that grows takes up to twice what it needs.
const maxGrowth = 3

// TestABodyOfAnyShapeCostsBoundedMemory posts each hostile body, in the largest size and in half of it, and counts what
// it allocates: a bounded amount, in proportion to its size. BenchmarkHostile measures the time.
func TestABodyOfAnyShapeCostsBoundedMemory(t *testing.T) { //nolint:paralleltest // it counts the process's allocations
	handler := newQuietHandler(t)
	allocated := func(shape string, s sample.Sample) (objects, bytes float64) {
		payload := sampleEvent(t, s)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		out, err := handler.Invoke(t.Context(), payload)
		runtime.ReadMemStats(&after)
		var answer reply
		if err != nil || json.Unmarshal(out, &answer) != nil || answer.StatusCode != 200 {
			t.Errorf("%s: %v, status %d", shape, err, answer.StatusCode)
		}
		return float64(after.Mallocs - before.Mallocs), float64(after.TotalAlloc - before.TotalAlloc)
	}
	halves, wholes := hostileShapes(webhook.MaxBodyBytes/2), hostileShapes(webhook.MaxBodyBytes)
	for _, shape := range slices.Sorted(maps.Keys(wholes)) {
		objects, bytes := allocated(shape, wholes[shape])
		if bytes > maxDeliveryBytes {
			t.Errorf("%s: %.0f MiB allocated, at most %d may be", shape, bytes/(1<<20), maxDeliveryBytes>>20)
		}
		if len(halves[shape].Body) > webhook.MaxBodyBytes/2 {
			continue // its fixed part is larger
		}
		halfObjects, halfBytes := allocated(shape, halves[shape])
		if objects > maxGrowth*halfObjects+1000 || bytes > maxGrowth*halfBytes+1<<20 {
			t.Errorf("%s: twice the body allocates %.1f times the objects and %.1f times the bytes (%.0f MiB)",
				shape, objects/halfObjects, bytes/halfBytes, bytes/(1<<20))
		}
	}
}

// BenchmarkHostile measures the worst known bodies, each beside a plain one of the same size, in turn, so that a busy
// machine slows both. The aim is at most 100 ms of one core for 256 KiB.
//
//	go test ./internal/webhook -run '^$' -bench Hostile -benchtime 10x
//
// cpu-ms/256KiB is the processor's time of all threads, the garbage collector's among them; plain is the same of the
// hostile body by that of the plain one.
func BenchmarkHostile(b *testing.B) {
	handler, shapes := newQuietHandler(b), hostileShapes(webhook.MaxBodyBytes)
	plain := sampleEvent(b, plainBody(b))
	spent := func(b *testing.B, payload []byte) time.Duration {
		b.Helper()
		before := processorTime(b)
		if _, err := handler.Invoke(context.Background(), payload); err != nil {
			b.Fatal(err)
		}
		return processorTime(b) - before
	}
	for _, shape := range slices.Sorted(maps.Keys(shapes)) {
		payload := sampleEvent(b, shapes[shape])
		b.Run(strings.ReplaceAll(shape, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			var hostiles, plains []time.Duration
			for b.Loop() {
				hostiles, plains = append(hostiles, spent(b, payload)), append(plains, spent(b, plain))
			}
			per := float64(len(shapes[shape].Body)) / (256 << 10)
			b.ReportMetric(median(hostiles).Seconds()*1000/per, "cpu-ms/256KiB")
			b.ReportMetric(float64(median(hostiles))/float64(median(plains)), "plain")
		})
	}
}

// processorTime is what the process has used of all processors.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// plainBody is a refund as Shopify sends it, with refunds and lines of other orders in a field that nothing reads, up to
// the size of the hostile bodies.
func plainBody(tb testing.TB) sample.Sample {
	tb.Helper()
	s := typicalSample(tb, "shopify")
	whole := strings.TrimSpace(string(s.Body))
	plain := filler(webhook.MaxBodyBytes)("shopify", strings.TrimSuffix(whole, "}")+`,"others":[`, whole, ",", `]}`)
	plain.Headers = s.Headers
	return plain
}

func numbered(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return out
}

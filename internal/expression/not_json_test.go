package expression_test

import (
	"strings"
	"testing"

	"license-deactivator/internal/expression"
)

func TestABodyThatIsAFormIsCalledAForm(t *testing.T) {
	t.Parallel()
	for body, form := range map[string]bool{
		"event=refund&order=1001": true,
		// PayPal's IPN, https://developer.paypal.com/api/nvp-soap/ipn/IPNIntro/: names and values are percent-encoded.
		"mc_gross=19.95&payer_id=LPLWNMTBWMFAY&address_street=1+Main+St&txn_id=61E67681CH3238416&custom=": true,
		"order%5Bid%5D=7&order[total]=9.90": true,
		"refund":                            false,
		"a=b c":                             false,
		"=b":                                false,
		`{"a":"b=c`:                         false,
		"<a b='c'/>":                        false,
	} {
		_, err := expression.ReadJSON([]byte(body))
		if err == nil || !strings.Contains(err.Error(), "not JSON") || strings.Contains(err.Error(), "application/x-www-form-urlencoded") != form {
			t.Errorf("%q: %v, want the error to name a form: %v", body, err, form)
		}
	}
}

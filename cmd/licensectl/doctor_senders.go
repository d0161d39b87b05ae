package main

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/certificate"
	"license-deactivator/internal/local"
	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/signing"
)

// checkSources loads the senders' files.
func (d *doctor) checkSources() {
	const check = "senders' files"
	sources, err := d.options.spring.sources()
	if err != nil {
		d.fail(check, "licensectl sources check says more", "%v", err)
		return
	}
	d.sources = sources
	d.ok(check, "%s are valid", count(len(sources.Names()), "file"))
}

// checkSenders checks the secret of each sender, and that the sender's address refuses an unsigned delivery.
func (d *doctor) checkSenders(ctx context.Context) {
	if d.sources == nil {
		return
	}
	webhooks, ok := d.webhookSecrets(ctx)
	if !ok {
		return
	}
	var usable []string
	for _, name := range webhooks.Sources() {
		source, known := d.sources.Get(name)
		keys, err := webhooks.Keys(name)
		if err == nil && known {
			err = source.CheckKeys(keys)
		}
		switch {
		case err != nil:
			d.fail("secret of "+name, "store the secret again as docs/senders/README.md says", "%v", err)
		case !known:
			d.warn("secret of "+name, "remove it, or add the file sources/"+name+".yaml", "there is a secret and no file of the sender")
		default:
			usable = append(usable, name)
			if source.Certified() {
				d.checkCertificates(name, keys)
			}
		}
	}
	if len(usable) == 0 {
		d.warn("senders' secrets", "store one for each store: docs/senders/README.md", "no sender has a secret: every delivery is answered with 404")
		return
	}
	d.checkMissing(webhooks.Sources())
	without := ""
	if n := len(d.sources.Names()) - len(usable); n > 0 {
		without = "; " + count(n, "file") + " without"
	}
	d.ok("senders' secrets", "%s%s", strings.Join(usable, ", "), without)
	d.checkAddresses(ctx, usable)
}

// certificateNotice is how long before the end of a stored certificate doctor warns.
const certificateNotice = 30 * 24 * time.Hour

// checkCertificates checks the certificates among the secrets of a sender that signs with one.
func (d *doctor) checkCertificates(name string, keys []string) {
	const hint = "store the one at the address in PAYPAL-CERT-URL: docs/senders/paypal.md, \"In a closed network\""
	roots := certificate.New(certificate.Config{}).Roots()
	for i, key := range keys {
		problem := func(at time.Time) error {
			live := signing.CheckPayPalCertificate([]byte(key), roots, at, false)
			if live == nil || signing.CheckPayPalCertificate([]byte(key), roots, at, true) == nil {
				return nil
			}
			return live
		}
		if !strings.Contains(key, "-----BEGIN") {
			continue
		}
		check := "certificate of " + name
		if err := problem(time.Now()); err != nil {
			d.fail(check, hint, "number %d of its secrets: %v", i+1, err)
		} else if problem(time.Now().Add(certificateNotice)) != nil {
			d.warn(check, hint, "number %d of its secrets ends within 30 days", i+1)
		}
	}
}

// checkMissing names the files of --sources without a secret: a folder of one's own holds the senders that are used, the
// built-in files all that there are.
func (d *doctor) checkMissing(secrets []string) {
	flag := d.cmd.Flag("sources")
	if flag == nil || !flag.Changed {
		return
	}
	for _, name := range d.sources.Names() {
		if !slices.Contains(secrets, name) {
			d.warn("secret of "+name, "store it, or remove the file", "the sender has a file and no secret: its deliveries are answered with 404")
		}
	}
}

// webhookSecrets reads the senders' secrets from where the target has them.
func (d *doctor) webhookSecrets(ctx context.Context) (secrets.Webhooks, bool) {
	f := &d.options.spring
	var reader secrets.Reader
	switch {
	case f.secretsFile != "":
		stored, err := readSecrets(f.secretsFile)
		if err != nil {
			return secrets.Webhooks{}, false // checkLicenseSecret has reported it
		}
		_, reader = stored.Readers(f.secretsFile)
	case d.at == nil:
		return secrets.Webhooks{}, false
	case d.at.isLocal():
		_, reader = local.FixedSecrets(d.sources).Readers("")
	case d.at.of(webhookSecretsARN) != "":
		reader = secrets.OpenSecretsManager(d.at.config, d.at.endpoint, d.at.of(webhookSecretsARN))
	default:
		return secrets.Webhooks{}, false
	}
	const check = "senders' secrets"
	value, err := reader.Read(ctx)
	if err != nil {
		d.fail(check, awsHint(err, "secretsmanager:GetSecretValue"), "%s", awsProblem(err))
		return secrets.Webhooks{}, false
	}
	webhooks, err := secrets.ParseWebhooks(value.Text)
	if err != nil {
		d.fail(check, "", "%v", err)
		return secrets.Webhooks{}, false
	}
	return webhooks, true
}

// checkAddresses posts an unsigned delivery to the address of each sender. Only 401 is right: 404 means that the deployed
// function does not know the sender or its secret.
func (d *doctor) checkAddresses(ctx context.Context, names []string) {
	base := d.webhookURL()
	if base == "" {
		return
	}
	refused := 0
	for _, name := range names {
		check := "address of " + name
		status, _, err := request(ctx, http.MethodPost, base+name)
		if err != nil {
			d.fail(check, "check the network, PublicUrl and its certificate", "%s%s cannot be reached: %s", base, name, networkProblem(err))
			return // the others have the same host
		}
		switch status {
		case http.StatusUnauthorized:
			refused++
		case http.StatusNotFound:
			d.fail(check, "deploy the present files, and check the secret's name and PublicUrl", "%s%s answers 404: the function knows no such sender, or has no secret of it", base, name)
		case http.StatusServiceUnavailable:
			d.fail(check, "look at the webhook function's log", "%s%s answers 503: the function cannot read its secrets", base, name)
		default:
			if status < http.StatusBadRequest {
				d.fail(check, "is it this function? check PublicUrl", "%s%s answers %d to an unsigned delivery", base, name, status)
			} else {
				d.fail(check, "look at the webhook function's log", "%s%s answers %d to an unsigned delivery, not 401", base, name, status)
			}
		}
	}
	if refused > 0 {
		d.ok("addresses", "%s refuses unsigned deliveries of %s", base, count(refused, "sender"))
	}
}

// webhookURL is the address before a sender's name; "": not known.
func (d *doctor) webhookURL() string {
	if d.at == nil {
		return ""
	}
	return d.at.of(webhookURL)
}

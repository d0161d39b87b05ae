// What others try: pages of other sites in the same browser, texts of strangers, very many events, and a server that ends.
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { begin, browse, close, fits, invoke, open } from './harness.js'

// foreign is a host name that an attacker's DNS turns to this machine.
const foreign = 'rebound.example'

describe('the page and others', () => {
  // In watch mode every request becomes a dead letter without a call, so that ten thousand take a second.
  let running, browser, site, origin
  before(async () => {
    [running, browser] = await Promise.all([begin('--mode', 'watch'), browse(`--host-resolver-rules=MAP ${foreign} 127.0.0.1`)])
    site = createServer((_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end('<title>x</title><h1>Another site</h1>'))
    await new Promise(resolve => site.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${site.address().port}`
  })
  after(async () => { site?.close(); await Promise.all([running?.stop(), browser?.close()]) })

  // refused are the errors that Chromium reports for what is refused.
  const refused = /status of 40|blocked by CORS|Failed to load resource|frame-ancestors|Refused to|Cross-Origin-Opener-Policy/

  test('a name that resolves to this machine gets nothing, with the token either', async () => {
    const page = await open(browser, `http://${foreign}:${running.port}/#${running.token}`)
    assert.doesNotMatch(await page.content(), /License Deactivator|htmx/)
    const answer = await page.evaluate(async token => {
      const response = await fetch('/view/overview', { headers: { 'X-Console-Token': token } })
      return { status: response.status, text: await response.text() }
    }, running.token)
    assert.equal(answer.status, 403)
    assert.doesNotMatch(answer.text, /Overview/)
    await close(page, refused)
  })

  test('a page of another origin can neither read nor act', async () => {
    const page = await open(browser, origin)
    const tried = await page.evaluate(async ({ console, token }) => {
      const attempt = async (path, init) => {
        try {
          const response = await fetch(console + path, init)
          return `${response.type} ${response.status}`
        } catch { return 'refused' }
      }
      const form = new URLSearchParams({ name: 'stripe/full-refund' })
      return {
        'read with the token': await attempt('/view/events', { headers: { 'X-Console-Token': token } }),
        'act with the token': await attempt('/view/samples/send', { method: 'POST', body: form, headers: { 'X-Console-Token': token } }),
        'read': await attempt('/view/events', {}),
        'act without an answer': await attempt('/view/samples/send', { method: 'POST', body: form, mode: 'no-cors' }),
      }
    }, { console: running.origin, token: running.token })
    assert.deepEqual(tried, { 'read with the token': 'refused', 'act with the token': 'refused', 'read': 'refused', 'act without an answer': 'refused' })

    // A form needs no permission of the other site. It cannot set the header.
    await page.setContent(`<form method="post" action="${running.origin}/view/samples/send"><input name="name" value="stripe/full-refund"><button>Win</button></form>`)
    const [answer] = await Promise.all([page.waitForResponse(/samples\/send/), page.getByRole('button', { name: 'Win' }).click()])
    assert.equal(answer.status(), 403)
    await close(page, refused)
  })

  test('a page of another origin cannot show the page in a frame', async () => {
    const page = await open(browser, origin)
    await page.setContent(`<iframe src="${running.page}"></iframe>`)
    await page.waitForFunction(() => frames.length === 1)
    const frame = page.frames()[1]
    await frame.waitForURL(/chrome-error/)
    await close(page, refused)
  })

  test('without the token there is no content', async () => {
    const page = await open(browser, `${running.origin}/letters`)
    await page.getByRole('heading', { name: 'This tab has no key to the page' }).waitFor()
    assert.deepEqual(await page.evaluate(() => Promise.all(
      ['/view/overview', '/view/letters', '/view/events?since=7d'].map(async path => (await fetch(path)).status))), [401, 401, 401])
    await close(page, refused)
    const wrong = await open(browser, `${running.origin}/#${'A'.repeat(26)}`)
    await wrong.getByRole('heading', { name: 'This tab has no key to the page' }).waitFor()
    await close(wrong, refused)
  })

  test('the token is in no address, and in no output but the first line', async () => {
    const page = await open(browser, running.page)
    const asked = []
    page.on('request', request => asked.push(request.url() + (request.headers().referer ?? '')))
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.getByRole('link', { name: 'Events', exact: true }).click()
    await page.getByRole('heading', { name: 'Events' }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: 'Events' }).waitFor()
    assert.ok(asked.length > 2)
    for (const text of [...asked, page.url(), await page.content()]) assert.ok(!text.includes(running.token), text)
    assert.equal(running.output().split(running.token).length, 2)
    await close(page)
  })

  test('no path leads past the token', async () => {
    const page = await open(browser, `${running.origin}/`)
    const paths = [
      '//view/overview', '/./view/overview', '/x/../view/overview', '/%76iew/overview', '/view%2foverview', '/view/%2e%2e/view/overview', '/VIEW/overview',
      '/view/overview/', '/view/overview;x', '/view\\overview', '/static/..%2f..%2fguard.go', '/static/%2e%2e/view/overview', '/view/overview%00', '/static/../view/overview',
    ]
    for (const path of paths) {
      const text = await page.evaluate(async path => (await fetch(location.origin + path)).text().catch(String), path)
      assert.doesNotMatch(text, /Deliveries|package console/, `${path} by the browser`)
      assert.doesNotMatch(await raw(running.port, path), /^HTTP\/1\.1 200[\s\S]*Deliveries|package console/, `${path} as it is`)
    }
    // What does not act by GET cannot be triggered by a link, an image or a prefetch.
    for (const path of ['/view/act', '/view/samples/send?name=stripe/full-refund', '/view/plan?do=purge']) {
      const status = await page.evaluate(async ([path, token]) => (await fetch(path, { headers: { 'X-Console-Token': token } })).status, [path, running.token])
      assert.ok([404, 405].includes(status), `GET ${path}: ${status}`)
    }
    await close(page, refused)
  })

  // raw sends a path as it is: fetch cleans it first. It returns the answer.
  function raw(port, path) {
    return new Promise((resolve, reject) => {
      let text = ''
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`))
      socket.on('data', data => { text += data }).on('end', () => resolve(text)).on('error', reject)
    })
  }

  test('a script in the id of an order is a text', async () => {
    const order = '<script>window.hacked=1</script><img src=x onerror="window.hacked=1">\'"--'
    const answer = await invoke(running, [{ id: 'script-order', order, product: 'NONE', license_key: 'AAAA-BBBB-CCCC-DDDD', hardware_id: 'hw' }])
    assert.equal(answer.accepted, 1)
    const page = await open(browser, running.page)
    const shown = async () => {
      await page.getByText('<script>window.hacked=1</script>').first().waitFor()
      assert.equal(await page.evaluate(() => window.hacked), undefined)
      assert.equal(await page.locator('#view script, #view img').count(), 0)
    }
    await page.getByRole('link', { name: 'Events', exact: true }).click()
    await shown()
    await page.getByRole('link', { name: /script-order/ }).first().click()
    await page.getByRole('heading', { name: 'Event', exact: true }).waitFor()
    await shown()
    await page.getByRole('link', { name: 'Open its dead letter' }).click()
    await page.getByRole('heading', { name: 'Dead letter', exact: true }).waitFor()
    await shown()
    await page.getByRole('link', { name: 'Orders', exact: true }).click()
    await page.getByLabel('Id', { exact: true }).fill(order)
    await page.getByRole('button', { name: 'Look up' }).click()
    await page.locator('.steps').first().waitFor()
    await shown()
    for (const path of ['/events?text=', '/event?id=', '/letters?order=', '/letter?id=', '/events?since=', '/events?source=']) {
      await page.goto(running.origin + path + encodeURIComponent('"><script>window.hacked=1</script>'))
      await page.locator('#view h1').waitFor()
      assert.equal(await page.evaluate(() => window.hacked), undefined, path)
    }
    await close(page, /status of 404/)
  })

  test('ten thousand events and dead letters are shown page by page', async () => {
    const requests = Array.from({ length: 10_000 }, (_, i) => ({ id: `many-${i}`, order: `order-${i}`, product: 'NONE', license_key: `AAAA-BBBB-CCCC-${i}`, hardware_id: 'hw' }))
    const answer = await invoke(running, requests)
    assert.equal(answer.accepted, requests.length)
    const page = await open(browser, running.page, { width: 400 })
    await page.getByRole('link', { name: /Needs you 10.\d{3}/i }).waitFor() // the overview counts them, live
    await page.getByRole('link', { name: 'Dead letters', exact: true }).click()
    await page.getByRole('link', { name: 'watched', exact: true }).first().click()
    await page.getByRole('heading', { name: /^10.\d{3} letters/ }).waitFor()
    assert.ok(await page.locator('#chosen tbody tr').count() <= 200)
    await fits(page, '10,000 letters')
    await page.getByRole('button', { name: 'Plan a redrive', exact: true }).click()
    await page.getByText('These are the oldest 1000 of 10').waitFor()

    await page.getByRole('link', { name: 'Events', exact: true }).click()
    await page.getByRole('link', { name: 'Older' }).waitFor()
    assert.ok(await page.locator('#live tbody tr').count() <= 200)
    await fits(page, '10,000 events')
    await page.getByRole('link', { name: 'Older' }).click()
    await page.getByRole('link', { name: 'Newer' }).waitFor()
    await page.getByLabel('Id, order, rule or code').fill('order-7777')
    await page.getByRole('button', { name: 'Filter' }).click()
    await page.getByRole('link', { name: 'many-7777' }).waitFor()
    await close(page)
  })

  test('a server that ends is reported, and what was shown stays', async () => {
    const page = await open(browser, `${running.origin}/events#${running.token}`)
    await page.getByRole('heading', { name: 'Events' }).waitFor()
    await running.stop()
    await page.getByRole('alert').filter({ hasText: 'licensectl does not answer' }).waitFor()
    assert.ok(await page.locator('#live tbody tr').count() > 0)
    await page.getByRole('link', { name: 'Dead letters', exact: true }).click()
    await page.getByRole('alert').filter({ hasText: 'licensectl does not answer' }).waitFor()
    await close(page, /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|^htmx:/)
  })
})

/**
 * Who is looking: signing in, and what only the player may ask of the API. Knows no DOM. Tokens live in this
 * object and nowhere else; a reload forgets them.
 */

const PENDING = "scoreboard.sign-in";
/** A token is renewed this long (ms) before it ends. */
const RENEW_MS = 60_000;

/** The API's answer, as an error: `status`, and `message` for people. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem?.errors?.name?.[0] ?? problem?.detail ?? "That did not work. Try again.");
    this.status = status;
  }
}

export function browserEnvironment() {
  return {
    fetch: (url, options) => fetch(url, options),
    now: () => Date.now(),
    crypto,
    /** Outlives the way to the sign-in page and back, in this tab only; never holds a token. */
    storage: sessionStorage,
    goTo: (url) => location.assign(url),
  };
}

export class Account {
  #urls; #env; #onChange; #onToken;
  #access = null; #refresh = null; #expiresAt = 0; #renewing = null;

  /**
   * `urls`: me, name, update; and demo, or cognito ({domain, clientId}) with page (the callback address).
   * `onChange` is called when somebody has signed in or out, `onToken` also when a token was renewed.
   */
  constructor(urls, { onChange, onToken }, env) {
    this.#urls = urls;
    this.#onChange = onChange;
    this.#onToken = onToken;
    this.#env = env;
  }

  /** The access token, or null. */
  get token() {
    return this.#access;
  }

  /** Begins to sign in. With Cognito the browser leaves for its page. Throws when the demo is away. */
  async signIn() {
    if (this.#urls.cognito) return this.#leave();
    const { accessToken } = await this.#json(await this.#env.fetch(this.#urls.demo, { method: "POST" }));
    this.#keep({ access_token: accessToken });
  }

  /** Ends the sign-in when `query` is what Cognito's page came back with; returns whether it was. */
  async finish(query) {
    const answer = new URLSearchParams(query);
    const pending = JSON.parse(this.#env.storage.getItem(PENDING) ?? "null");
    if (!this.#urls.cognito || !pending || !answer.has("state")) return false;
    this.#env.storage.removeItem(PENDING);
    if (answer.get("state") !== pending.state || !answer.has("code")) return true;
    await this.#exchange({
      grant_type: "authorization_code",
      code: answer.get("code"),
      redirect_uri: this.#urls.page,
      code_verifier: pending.verifier,
    });
    return true;
  }

  signOut() {
    const leaving = this.#urls.cognito && this.#access;
    this.#forget();
    if (!leaving) return;
    const { domain, clientId } = this.#urls.cognito;
    const query = new URLSearchParams({ client_id: clientId, logout_uri: this.#urls.page });
    this.#env.goTo(`${domain}/logout?${query}`);
  }

  /** Own standing: {userId, score, rank, total, pointsToTop10}. Throws Refusal, or TypeError without a network. */
  me() {
    return this.#call("GET", this.#urls.me);
  }

  /** Sets the display name (null: none); {userId, name}. Throws as `me` does. */
  rename(name) {
    return this.#call("PUT", this.#urls.name, { name });
  }

  /** Raises the own score: one update, even if it takes three tries, because they share a key. Throws as `me`. */
  async score(userId, increment) {
    const key = { "Idempotency-Key": this.#env.crypto.randomUUID() };
    for (let tries = 1; ; tries++) {
      try {
        return await this.#call("POST", this.#urls.update, { userId, increment }, key);
      } catch (error) {
        const final = error instanceof Refusal && error.status !== 503;
        if (final || tries === 3) throw error;
      }
    }
  }

  async #call(method, url, body, headers = {}) {
    await this.#renewed();
    const response = await this.#env.fetch(url, {
      method,
      cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: { ...headers, Authorization: `Bearer ${this.#access}`, "Content-Type": "application/json" },
    });
    if (response.status === 401) this.#forget();
    return this.#json(response);
  }

  async #json(response) {
    const body = await response.json().catch(() => null);
    if (!response.ok) throw new Refusal(response.status, body);
    return body;
  }

  async #leave() {
    const verifier = base64url(this.#env.crypto.getRandomValues(new Uint8Array(48)));
    const state = base64url(this.#env.crypto.getRandomValues(new Uint8Array(24)));
    const digest = await this.#env.crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    this.#env.storage.setItem(PENDING, JSON.stringify({ verifier, state }));
    const { domain, clientId } = this.#urls.cognito;
    const query = new URLSearchParams({
      response_type: "code",
      client_id: clientId,
      redirect_uri: this.#urls.page,
      scope: "openid",
      state,
      code_challenge_method: "S256",
      code_challenge: base64url(new Uint8Array(digest)),
    });
    this.#env.goTo(`${domain}/oauth2/authorize?${query}`);
  }

  async #exchange(fields) {
    const { domain, clientId } = this.#urls.cognito;
    const body = new URLSearchParams({ client_id: clientId, ...fields });
    this.#keep(await this.#json(await this.#env.fetch(`${domain}/oauth2/token`, { method: "POST", body })));
  }

  async #renewed() {
    if (!this.#refresh || this.#env.now() < this.#expiresAt - RENEW_MS) return;
    this.#renewing ??= this.#exchange({ grant_type: "refresh_token", refresh_token: this.#refresh });
    try {
      await this.#renewing;
    } catch (error) {
      if (error instanceof Refusal) this.#forget();
      throw error;
    } finally {
      this.#renewing = null;
    }
  }

  #keep({ access_token: access, refresh_token: refresh = this.#refresh, expires_in: seconds = Infinity }) {
    const signedIn = this.#access === null;
    this.#access = access;
    this.#refresh = refresh;
    this.#expiresAt = this.#env.now() + seconds * 1000;
    if (signedIn) this.#onChange();
    this.#onToken();
  }

  #forget() {
    if (this.#access === null) return;
    this.#access = this.#refresh = null;
    this.#onChange();
    this.#onToken();
  }
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

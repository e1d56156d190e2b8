import { createOutbox, createSink, type ListedImage, type Outbox, type Sink } from "imagen-cloud/outbox";
import { type Dispatch, type SetStateAction, useEffect, useState } from "react";
import { client, sinkOptions } from "./session";

export function App() {
  const [userId, setUserId] = useState<string>();
  useEffect(() => {
    const { data } = client.auth.onAuthStateChange((_event, session) => setUserId(session?.user.id));
    return () => data.subscription.unsubscribe();
  }, []);
  // Another user gets another outbox.
  return userId ? <Studio key={userId} /> : <SignIn />;
}

function SignIn() {
  const [says, setSays] = useState("");
  const by = (way: "signInWithPassword" | "signUp") => async (form: FormData) => {
    const [email, password] = [form.get("email") as string, form.get("password") as string];
    const { error } = await client.auth[way]({ email, password });
    setSays(error?.message ?? "If this stays, look for the email that confirms your address.");
  };
  return (
    <form action={by("signInWithPassword")}>
      <input name="email" type="email" required aria-label="Email" placeholder="Email" />
      <input name="password" type="password" required aria-label="Password" placeholder="Password" />
      <button type="submit">Sign in</button> <input type="submit" value="Sign up" formAction={by("signUp")} />
      <p role="status">{says}</p>
    </form>
  );
}

type Shown = { outbox?: Outbox; sink?: Sink; waiting: number; pictures: ListedImage[] };

function Studio() {
  const [{ outbox, sink, waiting, pictures }, show] = useState<Shown>({ waiting: 0, pictures: [] });
  const [says, setSays] = useState("");
  useEffect(() => {
    // What one that is gone had opened may be ready last, and is closed.
    let isGone = false;
    const opening = open((change) => isGone || show(change));
    opening.catch((error) => isGone || setSays(error.message));
    return () => {
      isGone = true;
      opening.then((close) => close()).catch(() => {});
    };
  }, []);
  const failed = (error: Error) => setSays(error.message);
  async function send(form: FormData) {
    const [image, prompt] = [form.get("image") as File, form.get("prompt") as string];
    // Once this resolves the image arrives, also when this page is closed.
    await outbox?.enqueue({ image, prompt, seed: 0, backend: "upload" }).catch(failed);
  }
  const drop = (one: ListedImage) => show((old) => ({ ...old, pictures: old.pictures.filter((it) => it !== one) }));
  const remove = (one: ListedImage) => sink?.remove(one).then(() => drop(one), failed);
  return (
    <form action={send}>
      <input name="image" type="file" accept="image/*" required aria-label="Image" />
      <input name="prompt" required aria-label="Prompt" placeholder="Prompt" />
      <input type="submit" value="Send" disabled={!outbox} />
      <input type="button" value="Sign out" onClick={() => client.auth.signOut()} />
      <p role="status">{says || `${waiting} on their way`}</p>
      {pictures.map((one) => (
        <p key={one.imageId}>
          <img src={one.signedUrl ?? undefined} alt={one.prompt} width={320} />
          <input type="button" value={`Remove ${one.prompt}`} onClick={() => remove(one)} />
        </p>
      ))}
    </form>
  );
}

/** The outbox of whoever is signed in. It may be opened twice, as React's StrictMode does. Resolves to what closes it. */
async function open(show: Dispatch<SetStateAction<Shown>>): Promise<() => Promise<void>> {
  // Vite's dev server serves sw.ts by its own name; the build makes sw.js of it.
  const script = import.meta.env.DEV ? "/sw.ts" : "/sw.js";
  const serviceWorker = await navigator.serviceWorker.register(script, { type: "module" });
  const sink = await createSink(await sinkOptions());
  const outbox = await createOutbox(sink, { serviceWorker });
  const refresh = async () => {
    const waiting = (await outbox.list()).length;
    show((shown) => ({ ...shown, outbox, sink, waiting }));
    const { images: pictures } = await sink.list();
    show((shown) => ({ ...shown, pictures }));
  };
  // Offline there are no new pictures to see, and the outbox takes some all the same.
  outbox.onChange(({ state }) => state !== "progress" && refresh().catch(console.warn));
  refresh().catch(console.warn);
  return () => outbox.close().then(() => sink.free());
}

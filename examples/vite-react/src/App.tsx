import { useImages, useOutbox } from "imagen-cloud/react";
import { useEffect, useState } from "react";
import { client, sinkOptionsOf } from "./session";

type Props = { serviceWorker: ServiceWorkerRegistration };

export function App({ serviceWorker }: Props) {
  const [userId, setUserId] = useState<string>();
  useEffect(() => {
    const { data } = client.auth.onAuthStateChange((_event, session) => setUserId(session?.user.id));
    return () => data.subscription.unsubscribe();
  }, []);
  // What was said to one user is not said to the next.
  return userId ? <Studio key={userId} userId={userId} serviceWorker={serviceWorker} /> : <SignIn />;
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

function Studio({ userId, serviceWorker }: Props & { userId: string }) {
  const user = sinkOptionsOf(userId);
  const { outbox, jobs, enqueue, error } = useOutbox(user, { serviceWorker });
  const { images, refresh, remove, error: unread } = useImages(user);
  const [says, setSays] = useState("");
  // Also what another tab or the service worker has brought to its place.
  useEffect(() => outbox?.onChange(({ state }) => state === "done" && refresh()), [outbox, refresh]);
  const failed = (error: Error) => setSays(error.message);
  async function send(form: FormData) {
    const [image, prompt] = [form.get("image") as File, form.get("prompt") as string];
    // Once this resolves the image arrives, also when this page is closed.
    await enqueue({ image, prompt, seed: 0, backend: "upload" }).then(() => setSays(""), failed);
  }
  return (
    <form action={send}>
      <input name="image" type="file" accept="image/*" required aria-label="Image" />
      <input name="prompt" required aria-label="Prompt" placeholder="Prompt" />
      <input type="submit" value="Send" />
      <input type="button" value="Sign out" onClick={() => client.auth.signOut()} />
      <p role="status">{says || error?.message || `${jobs.length} on their way`}</p>
      {unread && <p role="alert">{unread.message}</p>}
      {images.map((one) => (
        <p key={one.imageId}>
          <img src={one.signedUrl ?? undefined} alt={one.prompt} width={320} />
          <input type="button" value={`Remove ${one.prompt}`} onClick={() => remove(one).catch(failed)} />
        </p>
      ))}
    </form>
  );
}

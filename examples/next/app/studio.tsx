"use client";
import { createClient, type Session } from "@supabase/supabase-js";
import { useImages, useSync } from "imagen-cloud/react";
import { useEffect, useState } from "react";
import { sendByServer } from "./actions";
import { requestOf } from "./request";

const url = process.env.NEXT_PUBLIC_SUPABASE_URL as string;
const apiKey = process.env.NEXT_PUBLIC_SUPABASE_KEY as string;
const { auth } = createClient(url, apiKey);

export function Studio() {
  const [session, setSession] = useState<Session | null>(null);
  const [says, setSays] = useState("");
  useEffect(() => {
    const { data } = auth.onAuthStateChange((_event, changed) => setSession(changed));
    return () => data.subscription.unsubscribe();
  }, []);
  const user = session && { url, apiKey, ownerUserId: session.user.id, accessToken: () => session.access_token };
  const { images, refresh, remove, error } = useImages(user);
  const { sync } = useSync(user);
  const sign = (way: "signInWithPassword" | "signUp") => async (form: FormData) => {
    const { error } = await auth[way]({ email: form.get("email") as string, password: form.get("password") as string });
    setSays(error?.message ?? "");
  };
  const attempt = (work: () => Promise<void>) =>
    work().then(
      () => setSays(""),
      ({ message }: Error) => setSays(message),
    );
  /** As the user, with the publishable key: the server has no part in it. */
  const sendFromPage = (form: FormData) =>
    attempt(async () => {
      await sync(requestOf(form));
      await refresh();
    });
  const askServer = (form: FormData) =>
    attempt(async () => {
      form.set("token", session?.access_token ?? "");
      const { error } = await sendByServer(form);
      if (error) throw new Error(error);
      await refresh();
    });
  return (
    <form action={user ? sendFromPage : sign("signInWithPassword")} key={user?.ownerUserId}>
      {user ? (
        <>
          <input name="image" type="file" accept="image/*" required aria-label="Image" />
          <input name="prompt" required aria-label="Prompt" placeholder="Prompt" />
          <input type="submit" value="Send" />
          <button type="submit" formAction={askServer}>
            By the server
          </button>
        </>
      ) : (
        <>
          <input name="email" type="email" required aria-label="Email" placeholder="Email" />
          <input name="password" type="password" required aria-label="Password" placeholder="Password" />
          <input type="submit" value="Sign in" />
          <input type="submit" value="Sign up" formAction={sign("signUp")} />
        </>
      )}
      <p role="status">{says || error?.message}</p>
      {images.map((one) => (
        <p key={one.imageId}>
          {/* biome-ignore lint/performance/noImgElement: a signed URL is private, and nothing for Next.js' image server */}
          <img src={one.signedUrl ?? undefined} alt={one.prompt} width={320} />
          <input
            type="button"
            value={`Remove ${one.prompt}`}
            onClick={() => attempt(async () => void (await remove(one)))}
          />
        </p>
      ))}
    </form>
  );
}

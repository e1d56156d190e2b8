"use client";
import { createClient } from "@supabase/supabase-js";
import { createSink } from "imagen-cloud";
import { useEffect, useState } from "react";
import { sendByServer } from "./actions";
import { requestOf } from "./request";

const url = process.env.NEXT_PUBLIC_SUPABASE_URL as string;
const apiKey = process.env.NEXT_PUBLIC_SUPABASE_KEY as string;
const { auth } = createClient(url, apiKey);
const accessToken = async () => (await auth.getSession()).data.session?.access_token ?? "";

/** Sends from this page, as the user, with the publishable key: the server has no part in it. */
async function sendFromPage(form: FormData, ownerUserId: string) {
  const sink = await createSink({ url, apiKey, accessToken, ownerUserId, pathPrefix: ownerUserId });
  const { storagePath } = await sink.sync(requestOf(form));
  return { src: await sink.signedUrl(storagePath) };
}

export function Studio() {
  const [userId, setUserId] = useState<string>();
  const [sent, setSent] = useState<{ src: string; prompt: string }[]>([]);
  const [says, setSays] = useState("");
  useEffect(() => {
    const { data } = auth.onAuthStateChange((_event, session) => setUserId(session?.user.id));
    return () => data.subscription.unsubscribe();
  }, []);
  const sign = (way: "signInWithPassword" | "signUp") => async (form: FormData) => {
    const { error } = await auth[way]({ email: form.get("email") as string, password: form.get("password") as string });
    setSays(error?.message ?? "");
  };
  const send = (how: (form: FormData) => Promise<{ src?: string; error?: string }>) => async (form: FormData) => {
    const { src, error } = await how(form).catch((thrown) => ({ src: undefined, error: thrown.message as string }));
    if (src) setSent([{ src, prompt: form.get("prompt") as string }, ...sent]);
    setSays(error ?? "");
  };
  return (
    <form action={userId ? send((form) => sendFromPage(form, userId)) : sign("signInWithPassword")} key={userId}>
      {userId ? (
        <>
          <input name="image" type="file" accept="image/*" required aria-label="Image" />
          <input name="prompt" required aria-label="Prompt" placeholder="Prompt" />
          <input type="submit" value="Send" />
          <button type="submit" formAction={send(async (form) => sendByServer(await accessToken(), form))}>
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
      <p role="status">{says}</p>
      {sent.map(({ src, prompt }) => (
        // biome-ignore lint/performance/noImgElement: a signed URL is private, and nothing for Next.js' image server
        <img key={src} src={src} alt={prompt} width={320} />
      ))}
    </form>
  );
}

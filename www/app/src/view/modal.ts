import { useLayoutEffect, useRef } from "preact/hooks";

/**
 * Keeps a dialog open as long as the state says so, and calls `onLeave` when the person closes it, by Escape for one.
 * A dialog tells of its end in a task of its own; by then the state may have opened it again (Back, then Forward), so what
 * the state itself has closed is no news.
 */
export function useModal(isOpen: boolean, onLeave: () => void) {
  const ref = useRef<HTMLDialogElement>(null);
  const toldByState = useRef(0);
  useLayoutEffect(() => {
    if (isOpen && !ref.current?.open) ref.current?.showModal();
    if (!isOpen && ref.current?.open) {
      toldByState.current += 1;
      ref.current.close();
    }
  }, [isOpen]);
  const onClose = () => {
    if (toldByState.current > 0) toldByState.current -= 1;
    else onLeave();
  };
  return { ref, onClose };
}
